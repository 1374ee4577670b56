"""What tlbench knows of a Keras network, how Keras builds it, and how Keras prepares its pixels."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from exporters.common.preprocess import BILINEAR, NEAREST, Preprocessing, Resize, nearest_rows

if TYPE_CHECKING:  # each row of `tlbench list backbones` imports this module: nothing heavy here
    from exporters.common.session import Frameworks
    from tlbench.core.arrays import ImageArray
    from tlbench.model import ExportOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class KerasNetwork:
    """One network of ``keras.applications``, described without importing Keras."""

    name: str
    constructor: str  # name of the function in keras.applications
    module: str  # name of its module in keras.applications, where preprocess_input is
    input_size: int  # height and width that the weights were trained for, pixels
    min_size: int  # the least height and width that Keras accepts
    layer: str  # last layer without the classifier: the source of the features
    n_features: int  # after pooling
    preprocessing: Preprocessing  # the same as the module's preprocess_input
    licence: str  # of the ImageNet weights, as far as Keras or their authors state one
    # Whether Keras pools the input of *layer* and not its output (ConvNeXt's last normalisation).
    pools_before_layer: bool = False
    # Whether Keras adds a layer to the architecture when it loads its ImageNet weights.
    rescales_imagenet: bool = False

    @property
    def class_path(self) -> str:
        """Where the network is defined."""
        return f"keras.applications.{self.constructor}"

    @property
    def pooled_layer(self) -> str | None:
        """Layer of pooled features in the network with classifier, where *layer* is not in it."""
        return f"convnext_{self.name[8:]}_head_layernorm" if self.pools_before_layer else None


def construct(
    frameworks: "Frameworks",
    network: KerasNetwork,
    options: "ExportOptions",
    *,
    top: bool,
    weights: str | None = None,
) -> Any:  # noqa: ANN401 - a Keras model; Keras has no stubs
    """Return the Keras model; names that Keras makes up are the same each time."""
    frameworks.start_over()
    size = options.input_size or network.input_size
    pooling = options.pooling if network.pools_before_layer and options.pooling != "none" else None
    return getattr(frameworks.keras.applications, network.constructor)(
        include_top=top,
        weights=weights,
        input_shape=(size, size, 3),
        pooling=None if top or options.layer else pooling,
        **({"classifier_activation": None} if top else {}),
    )


def leaf_layers(model: Any) -> Iterator[Any]:  # noqa: ANN401 - Keras has no stubs
    """Yield the layers of a model and of the models inside it, in order."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from leaf_layers(layer)
        else:
            yield layer


def preprocess(
    frameworks: "Frameworks",
    network: KerasNetwork,
    size: int,
    images: "ImageArray",
    resize: Resize = BILINEAR,
) -> Any:  # noqa: ANN401 - a tensor
    """Resize and preprocess images (N, H, W, 3) by TensorFlow and Keras alone."""
    tf, module = frameworks.tf, getattr(frameworks.keras.applications, network.module)
    if resize is BILINEAR:
        pixels = tf.image.resize(images, (size, size), method="bilinear")
    elif resize is NEAREST:
        # Not tf.image.resize: it rounds differently where a position falls between two pixels.
        for axis in (1, 2):
            images = tf.gather(images, nearest_rows(images.shape[axis], size), axis=axis)
        pixels = tf.cast(images, tf.float32)
    else:
        # For bicubic without antialiasing, tf.image.resize rounds the position between two pixels
        # to 1/1024, wrong by 0.13 grey levels. With antialiasing it runs this, the exact kernel.
        height, width = images.shape[1:3]
        pixels = tf.raw_ops.ScaleAndTranslate(
            images=tf.cast(images, tf.float32),
            size=(size, size),
            scale=(size / height, size / width),
            translation=(0.0, 0.0),
            kernel_type="triangle" if resize.mode == "linear" else "keyscubic",
            antialias=resize.antialias,
        )
    return module.preprocess_input(pixels)
