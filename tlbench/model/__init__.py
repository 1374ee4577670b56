"""The artefact: one self-contained ONNX file, the card inside it, and who writes it."""

from tlbench.model.backbone import BACKBONES, Backbone, BackboneWithArgument, ExportOptions
from tlbench.model.card import (
    CARD_KEY,
    ModelCard,
    Parity,
    Weights,
    decode_card,
    encode_card,
    read_card,
)
from tlbench.model.file import OnnxModel, TensorInfo

__all__ = [
    "BACKBONES",
    "CARD_KEY",
    "Backbone",
    "BackboneWithArgument",
    "ExportOptions",
    "ModelCard",
    "OnnxModel",
    "Parity",
    "TensorInfo",
    "Weights",
    "decode_card",
    "encode_card",
    "read_card",
]
