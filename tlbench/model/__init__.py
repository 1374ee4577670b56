"""The ONNX file: its card, who writes it, where it is found, precision conversions, MAC counts."""

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
from tlbench.model.classifier import (
    CLASSES_KEY,
    CLASSIFIER_KEY,
    LABEL_OUTPUT,
    PROBABILITIES_OUTPUT,
    ClassifierCard,
    Verification,
    classifier_card,
    encode_classes,
    encode_classifier_card,
)
from tlbench.model.conversion import Conversion, Drift, ImageSample
from tlbench.model.file import OnnxModel, TensorInfo
from tlbench.model.macs import count_macs
from tlbench.model.precision import (
    FULL_PRECISION,
    PRECISIONS,
    ConversionOptions,
    ConversionRequest,
    check_precision,
)
from tlbench.model.resolve import (
    export_backbone,
    file_stem,
    is_file_name,
    load_backbone,
    lower_model,
    refuse_file_at_precision,
    resolve_model,
)

__all__ = [
    "BACKBONES",
    "CARD_KEY",
    "CLASSES_KEY",
    "CLASSIFIER_KEY",
    "FULL_PRECISION",
    "LABEL_OUTPUT",
    "PRECISIONS",
    "PROBABILITIES_OUTPUT",
    "Backbone",
    "BackboneWithArgument",
    "ClassifierCard",
    "Conversion",
    "ConversionOptions",
    "ConversionRequest",
    "Drift",
    "ExportOptions",
    "ImageSample",
    "ModelCard",
    "OnnxModel",
    "Parity",
    "TensorInfo",
    "Verification",
    "Weights",
    "check_precision",
    "classifier_card",
    "count_macs",
    "decode_card",
    "encode_card",
    "encode_classes",
    "encode_classifier_card",
    "export_backbone",
    "file_stem",
    "is_file_name",
    "load_backbone",
    "lower_model",
    "read_card",
    "refuse_file_at_precision",
    "resolve_model",
]
