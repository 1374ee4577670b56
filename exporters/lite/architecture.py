"""The EfficientNet-Lite family as a list of blocks.

Tan and Le (2019), arXiv:1905.11946, with the changes of the Lite variants: no
squeeze-and-excitation, ReLU6 for swish, and stem, head and the number of blocks in the first and
last stage not scaled.
"""

import math
from dataclasses import dataclass

STEM_CHANNELS = 32
HEAD_CHANNELS = 1280
BATCH_NORM_EPSILON = 1e-3

# Of EfficientNet-B0: repeats, kernel, stride of the first block, expansion, channels out.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


@dataclass(frozen=True, slots=True)
class Block:
    """One inverted residual block: expand (unless 1), depthwise convolution, project."""

    kernel: int
    stride: int
    expansion: int
    channels_in: int
    channels_out: int

    @property
    def channels_inside(self) -> int:
        """Channels of the depthwise convolution."""
        return self.channels_in * self.expansion

    @property
    def has_shortcut(self) -> bool:
        """Whether the input is added to the output."""
        return self.stride == 1 and self.channels_in == self.channels_out


def _round_channels(channels: int, width: float, divisor: int = 8) -> int:
    scaled = channels * width
    rounded = max(divisor, int(scaled + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * scaled else rounded


def blocks(width: float, depth: float) -> list[Block]:
    """Return the blocks of the variant with these width and depth coefficients, first to last."""
    result = []
    channels_in = STEM_CHANNELS
    for position, (repeats, kernel, stride, expansion, channels) in enumerate(_STAGES):
        channels_out = _round_channels(channels, width)
        is_scaled = 0 < position < len(_STAGES) - 1
        for repeat in range(math.ceil(depth * repeats) if is_scaled else repeats):
            result.append(
                Block(kernel, stride if repeat == 0 else 1, expansion, channels_in, channels_out)
            )
            channels_in = channels_out
    return result


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return the zeros before and after one axis, as TensorFlow's ``SAME`` places them."""
    total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2
