"""Draw every weight of a network anew, so that random weights behave like trained ones."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Mean and standard deviation of ImageNet's pixels: what the trained EfficientNets hold here.
_MEAN, _STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
_DEPTHWISE = ("DepthwiseConv2D", "depthwise_kernel")


def leaf_layers(model: Any) -> Iterator[Any]:  # noqa: ANN401 - Keras has no stubs
    """Yield the layers of a model and of the models inside it, in their order."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from leaf_layers(layer)
        else:
            yield layer


def randomise(model: Any, seed: int, pixels: Any) -> None:  # noqa: ANN401 - Keras has no stubs
    """Give *model* seeded weights.

    Parameters
    ----------
    pixels : tensor of shape (N, H, W, 3), float32
        A few preprocessed images. The batch normalisations take their statistics from them, as
        trained ones do, on a grid so coarse that two machines' sums round to the same values.

    Notes
    -----
    Keras's initial values are no stand-in for trained ones. Its depthwise kernels shrink the
    signal until MobileNet's features are 1e-19, and EfficientNet's hardly depend on the image;
    its normalisations are identities and its biases zeros, which the converter leaves out, so
    that the graph would be smaller than the real one; ConvNeXt's blocks are scaled by 1e-6 and
    would not be verified at all. Here kernels keep the signal's variance (He et al. 2015,
    doi:10.1109/ICCV.2015.123), normalisations restore it layer by layer (Mishkin and Matas 2016,
    arXiv:1511.06422), and everything else is near, but not at, its neutral value.
    """
    generator = np.random.default_rng(seed)
    layers = list(leaf_layers(model))
    inside = any(type(layer).__name__ in {"Rescaling", "Normalization"} for layer in layers)
    # Some networks take pixels in the hundreds: their first kernel makes up for it.
    scale = 1.0 if inside else max(1.0, float(np.abs(pixels).max()) / 2)
    for layer in layers:
        kind = type(layer).__name__
        for variable in layer.weights:
            name = variable.path.rsplit("/", 1)[-1]
            values = _draw(generator, kind, name, tuple(variable.shape))
            if name.endswith("kernel"):
                values, scale = values / scale, 1.0
            variable.assign(values.astype(variable.dtype))
    with contextlib.ExitStack() as stack:
        for layer in layers:
            if type(layer).__name__ == "BatchNormalization":
                layer.call = _calibrating(layer, layer.call)
                stack.callback(delattr, layer, "call")
        model(pixels, training=False)


def _draw(
    generator: np.random.Generator, kind: str, name: str, shape: tuple[int, ...]
) -> NDArray[np.float64]:
    if kind == "Normalization":
        constants = {"mean": _MEAN, "variance": _STD**2, "count": np.zeros(())}
        return np.asarray(constants[name], dtype=np.float64)
    if name.endswith("kernel"):
        depthwise = kind in _DEPTHWISE or name in _DEPTHWISE
        fan_in = np.prod(shape[: -2 if depthwise else -1])
        return generator.normal(0, np.sqrt(2 / fan_in), shape)
    if name in {"gamma", "moving_variance"}:
        return generator.uniform(0.75, 1.25, shape)
    if name in {"beta", "bias", "moving_mean"}:
        return generator.normal(0, 0.05, shape)
    if kind == "LayerScale":
        return generator.uniform(0.25, 0.5, shape)
    raise AssertionError(f"no rule for the random values of {name} in {kind}")


def _calibrating(layer: Any, call: Callable[..., Any]) -> Callable[..., Any]:  # noqa: ANN401
    def calibrate(inputs: Any, **options: Any) -> Any:  # noqa: ANN401 - tensors
        # About zero, not about the mean: networks of centred signals amplify every rounding error.
        power = np.square(np.asarray(inputs, dtype=np.float64)).mean()
        if power > 0:
            deviation = 2 ** (np.round(2 * np.log2(power)) / 4)  # a quarter of an octave
            layer.moving_mean.assign(layer.moving_mean.numpy() * deviation)
            layer.moving_variance.assign(layer.moving_variance.numpy() * deviation**2)
        return call(inputs, **options)

    return calibrate
