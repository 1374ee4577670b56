"""Export one Keras network: build, cut at the feature layer, convert, verify, write."""

import difflib
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from exporters.common.finish import GraphOutputs
from exporters.common.fit import choose_fit
from exporters.common.options import (
    FROZEN_ONLY,
    ONNX_ONLY,
    PREPROCESSING_KNOWN,
    TORCH_ONLY,
    check_opset_of_tf2onnx,
    refuse_options,
)
from exporters.common.preprocess import Resize, choose_resize
from exporters.common.publish import publish
from exporters.common.session import Frameworks, keras_session
from exporters.keras.convert import convert
from exporters.keras.network import KerasNetwork, construct, preprocess
from exporters.keras.weights import build_network
from tlbench.core.arrays import FloatArray, ImageArray
from tlbench.core.errors import ConfigError, UnknownNameError
from tlbench.core.progress import Listener
from tlbench.model import ExportOptions, ModelCard

_MAP_RANK, _VECTOR_RANK = 4, 2


def export_network(
    network: KerasNetwork, options: ExportOptions, destination: Path, listener: Listener
) -> ModelCard:
    """Build the network in Keras, convert it with tf2onnx and verify it against Keras."""
    known = FROZEN_ONLY | ONNX_ONLY | TORCH_ONLY | PREPROCESSING_KNOWN
    refuse_options(network.name, options, **known)
    size = options.input_size or network.input_size
    if size < network.min_size:
        msg = (
            f"input_size={size} is too small for {network.name}: Keras builds it from "
            f"{network.min_size} pixels, and its weights expect {network.input_size}."
        )
        raise ConfigError(msg)
    fit, resize = choose_fit(options), choose_resize(options.resize, antialias=options.antialias)
    with keras_session() as frameworks:
        opset = check_opset_of_tf2onnx(frameworks, options.opset)
        listener.start(f"build {network.name} in Keras")
        top = needs_classifier(frameworks, network, options)
        model, weights = build_network(frameworks, network, options, top=top, listener=listener)
        extractor = cut(frameworks, network, options, model)
        listener.finish()

        listener.start(f"convert {network.name} with tf2onnx")
        graph = convert(frameworks, extractor.model, extractor.outputs, opset)
        listener.finish()
        return publish(
            graph,
            backbone=network.name,
            source=(
                f"{network.class_path}, {frameworks.reference_name}, "
                f"tf2onnx {frameworks.tf2onnx.__version__}"
            ),
            weights=weights,
            size=(size, size),
            fit=fit,
            resize=resize,
            preprocessing=network.preprocessing,
            layer=extractor.layer,
            outputs=extractor.outputs,
            opset=opset,
            reference=partial(extractor.reference, frameworks, network, size, resize),
            reference_name=frameworks.reference_name,
            destination=destination,
            listener=listener,
        )


@dataclass(frozen=True, slots=True)
class FeatureExtractor:
    """The part of a network that is exported."""

    model: Any  # gives the output of *layer*, not yet pooled, and the logits if `outputs` has them
    layer: str
    outputs: GraphOutputs

    def reference(
        self,
        frameworks: Frameworks,
        network: KerasNetwork,
        size: int,
        resize: Resize,
        images: ImageArray,
    ) -> list[FloatArray]:
        """Return features, and logits if there are any, computed by TensorFlow and Keras alone."""
        tf, wanted = frameworks.tf, self.outputs
        found = self.model(preprocess(frameworks, network, size, images, resize), training=False)
        features, *logits = [found] if wanted.n_classes is None else found
        if wanted.pools and wanted.pooling == "avg":
            features = tf.reduce_mean(features, axis=(1, 2))
        elif wanted.pools and wanted.pooling == "max":
            features = tf.reduce_max(features, axis=(1, 2))
        features = tf.reshape(features, (len(images), -1))
        return [output.numpy() for output in (features, *logits)]


def needs_classifier(frameworks: Frameworks, network: KerasNetwork, options: ExportOptions) -> bool:
    """Return whether the wanted outputs are only in the network with its classifier."""
    if options.top or options.layer is None:
        return options.top
    names: list[str] = []
    for top in (False, True):
        names = [layer.name for layer in construct(frameworks, network, options, top=top).layers]
        if options.layer in names:
            return top
    near = difflib.get_close_matches(options.layer, names, n=8, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}? Close matches: {', '.join(near)}." if near else ""
    # There are hundreds of names: too many to list them all, as is done elsewhere.
    msg = (
        f"{network.name} has no layer {options.layer!r} among its {len(names)}.{hint} "
        f"The default layer is {network.layer}; the last ones are {', '.join(names[-8:])}."
    )
    raise UnknownNameError(msg)


def cut(
    frameworks: Frameworks,
    network: KerasNetwork,
    options: ExportOptions,
    model: Any,  # noqa: ANN401 - a Keras model
) -> FeatureExtractor:
    """Cut *model* at the wanted layer."""
    name = options.layer or network.layer
    pooling = options.pooling
    inside = network.pools_before_layer and options.layer is None
    # A weights file may bring a classifier nobody asked for; its layers then follow the features.
    if inside and model.layers[-1].name != network.layer:
        if pooling != "avg":
            msg = (
                f"{network.name} pools before its last normalisation, and with its classifier it "
                f"pools by average only. Leave out pooling={pooling}, or top=True."
            )
            raise ConfigError(msg)
        name = network.pooled_layer or name
        output = model.get_layer(name).output
    else:
        output = model.output if inside else model.get_layer(name).output
    rank = len(output.shape)
    if rank not in {_MAP_RANK, _VECTOR_RANK}:
        msg = (
            f"layer={name} of {network.name} gives arrays of shape {tuple(output.shape)}; features "
            "must be maps (N, H, W, C) or vectors (N, C). Choose another layer."
        )
        raise ConfigError(msg)
    pools = rank == _MAP_RANK
    if not pools and not inside:
        pooling = "none"
    shape = tuple(int(size) for size in output.shape[1:])
    ends = [output, model.output] if options.top else output
    return FeatureExtractor(
        model=frameworks.keras.Model(model.input, ends),
        layer=name,
        outputs=GraphOutputs(
            pools=pools,
            pooling=pooling,
            feature_shape=shape[-1:] if pools and pooling != "none" else shape,
            n_classes=int(model.output.shape[-1]) if options.top else None,
        ),
    )
