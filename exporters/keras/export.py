"""Export one Keras network: build, convert, verify, write."""

from functools import partial
from pathlib import Path

import onnx

from exporters.common.options import FROZEN_ONLY, refuse_options, supported_opset
from exporters.common.parity import probe_batches
from exporters.common.preprocess import NEAREST, choose_resize, prepend_preprocessing
from exporters.common.publish import exporter_name, publish
from exporters.common.session import Frameworks, keras_session
from exporters.keras.backbone import KerasBackbone
from exporters.keras.convert import NETWORK_INPUT, convert
from exporters.keras.features import cut, needs_classifier
from exporters.keras.weights import build_network
from tlbench.core.errors import ConfigError
from tlbench.core.progress import Listener
from tlbench.model import ExportOptions, ModelCard, Parity


def export_backbone(
    row: KerasBackbone, options: ExportOptions, destination: Path, listener: Listener
) -> ModelCard:
    """Do what :meth:`KerasBackbone.export` promises."""
    refuse_options(row.name, options, **FROZEN_ONLY)
    size = options.input_size or row.input_size
    if size < row.min_size:
        msg = (
            f"--input-size {size} is too small for {row.name}: Keras builds it from "
            f"{row.min_size} pixels on, and its weights expect {row.input_size}."
        )
        raise ConfigError(msg)
    with keras_session() as frameworks:
        return _export(frameworks, row, options, destination, listener)


def _export(
    frameworks: Frameworks,
    row: KerasBackbone,
    options: ExportOptions,
    destination: Path,
    listener: Listener,
) -> ModelCard:
    opset = supported_opset(frameworks, options.opset)
    resize = choose_resize(options.resize)
    size = options.input_size or row.input_size
    listener.start(f"build {row.name} in Keras")
    top = needs_classifier(frameworks, row, options)
    network, weights = build_network(frameworks, row, options, top=top, listener=listener)
    head = cut(frameworks, row, options, network)
    listener.finish()

    listener.start(f"convert {row.name} with tf2onnx")
    model: onnx.ModelProto = prepend_preprocessing(
        convert(frameworks, head, opset),
        network_input=NETWORK_INPUT,
        size=(size, size),
        preprocessing=row.preprocessing,
        resize=resize,
    )
    listener.finish()

    def make_card(parity: Parity) -> ModelCard:
        return ModelCard(
            backbone=row.name,
            source=(
                f"{row.class_path}, {frameworks.reference_name}, "
                f"tf2onnx {frameworks.tf2onnx.__version__}"
            ),
            weights=weights,
            input_size=(size, size),
            resize=resize.text,
            preprocessing=row.preprocessing.text,
            layer=head.layer,
            pooling=head.pooling,
            feature_shape=head.feature_shape,
            n_classes=head.n_classes,
            opset=opset,
            parity=parity,
            exported_by=exporter_name(),
        )

    return publish(
        model,
        make_card=make_card,
        reference=partial(head.reference, frameworks, row, size, resize),
        reference_name=frameworks.reference_name,
        destination=destination,
        listener=listener,
        batches=probe_batches(odd_sizes=resize is NEAREST),
    )
