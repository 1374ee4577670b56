"""Cut the network at the layer whose output becomes the features."""

import difflib
from dataclasses import dataclass
from typing import Any, Literal

from exporters.common.preprocess import Resize
from exporters.common.session import Frameworks
from exporters.keras.backbone import KerasBackbone
from exporters.keras.weights import construct, preprocess
from tlbench.core.arrays import FloatArray, ImageArray
from tlbench.core.errors import ConfigError, UnknownNameError
from tlbench.model import ExportOptions

_MAP_RANK, _VECTOR_RANK = 4, 2


@dataclass(frozen=True, slots=True)
class Head:
    """The network cut at the feature layer.

    Attributes
    ----------
    model : keras.Model
        One output, the layer's, or two with the logits; before the pooling done here.
    layer, pooling : str
        For the card.
    pools : bool
        Whether the first output is a map (N, H, W, C) that is still to be pooled or flattened.
    feature_shape : tuple of int
        Shape of an image's features before flattening.
    """

    model: Any
    layer: str
    pooling: Literal["avg", "max", "none"]
    pools: bool
    feature_shape: tuple[int, ...]
    n_classes: int | None

    def reference(
        self,
        frameworks: Frameworks,
        row: KerasBackbone,
        size: int,
        resize: Resize,
        images: ImageArray,
    ) -> list[FloatArray]:
        """Compute features, and logits if there are any, by TensorFlow and Keras alone."""
        tf = frameworks.tf
        outputs = self.model(preprocess(frameworks, row, size, images, resize), training=False)
        if self.n_classes is None:
            outputs = [outputs]
        features = outputs[0]
        if self.pools and self.pooling == "avg":
            features = tf.reduce_mean(features, axis=(1, 2))
        elif self.pools and self.pooling == "max":
            features = tf.reduce_max(features, axis=(1, 2))
        features = tf.reshape(features, (len(images), -1))
        return [output.numpy() for output in (features, *outputs[1:])]


def needs_classifier(frameworks: Frameworks, row: KerasBackbone, options: ExportOptions) -> bool:
    """Tell whether the wanted outputs are in the network with its classifier only.

    Raises
    ------
    UnknownNameError
        If no layer has the wanted name.
    """
    if options.top or options.layer is None:
        return options.top
    names: list[str] = []
    for top in (False, True):
        names = [layer.name for layer in construct(frameworks, row, options, top=top).layers]
        if options.layer in names:
            return top
    near = difflib.get_close_matches(options.layer, names, n=8, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}? Near it: {', '.join(near)}." if near else ""
    # Not all the names, as elsewhere: these are hundreds.
    msg = (
        f"Unknown layer {options.layer!r} of {row.name}, which has {len(names)}.{hint} "
        f"Without --layer it is {row.layer}; the last: {', '.join(names[-8:])}."
    )
    raise UnknownNameError(msg)


def cut(
    frameworks: Frameworks,
    row: KerasBackbone,
    options: ExportOptions,
    model: Any,  # noqa: ANN401
) -> Head:
    """Cut *model* at the wanted layer.

    Raises
    ------
    ConfigError
        If the layer gives neither a map nor a vector, or its pooling is not to be had.
    """
    name = options.layer or row.layer
    pooling = options.pooling
    inside = row.pools_before_layer and options.layer is None
    # A file may bring its classifier unasked, and then the last layer is the classifier's.
    if inside and model.layers[-1].name != row.layer:
        if pooling != "avg":
            msg = (
                f"{row.name} pools before its last normalisation, and with its classifier by "
                f"average only, not by {pooling}. Leave out --pooling, or --top."
            )
            raise ConfigError(msg)
        name = row.pooled_layer or name
        output = model.get_layer(name).output
    else:
        output = model.output if inside else model.get_layer(name).output
    rank = len(output.shape)
    if rank not in {_MAP_RANK, _VECTOR_RANK}:
        msg = (
            f"Layer {name!r} of {row.name} gives arrays of shape {tuple(output.shape)}; features "
            "are maps (N, H, W, C) or vectors (N, C). Choose another --layer."
        )
        raise ConfigError(msg)
    pools = rank == _MAP_RANK
    if not pools and not inside:
        pooling = "none"
    shape = tuple(int(size) for size in output.shape[1:])
    return Head(
        model=frameworks.keras.Model(
            model.input, [output, model.output] if options.top else output
        ),
        layer=name,
        pooling=pooling,
        pools=pools,
        feature_shape=shape[-1:] if pools and pooling != "none" else shape,
        n_classes=int(model.output.shape[-1]) if options.top else None,
    )
