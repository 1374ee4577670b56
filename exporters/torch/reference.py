"""Resize and normalise images by PyTorch, as the graph is to do it."""

import torch
from torch.nn.functional import interpolate

from exporters.common.declared import Declared
from exporters.common.preprocess import Resize, nearest_rows
from exporters.common.resize import resize_bicubic
from tlbench.core.arrays import ImageArray


def preprocessed(images: ImageArray, declared: Declared, size: tuple[int, int]) -> torch.Tensor:
    """Return what the network gets for images (N, H, W, 3), float32 (N, 3, height, width).

    The images have been cropped or padded already.
    """
    pixels = _resize(torch.from_numpy(images).permute(0, 3, 1, 2).float(), declared.resize, size)
    steps = declared.pixels
    if steps.channels == "BGR":
        pixels = pixels.flip(1)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (steps.mean, steps.std))
    return (pixels * steps.scale - mean) / std


def _resize(pixels: torch.Tensor, resize: Resize, size: tuple[int, int]) -> torch.Tensor:
    if resize.mode == "nearest":  # PyTorch rounds differently where a position is between two
        rows, columns = (
            torch.from_numpy(nearest_rows(old, new))
            for old, new in zip(pixels.shape[2:], size, strict=True)
        )
        return pixels[:, :, rows][:, :, :, columns]
    if resize.mode == "cubic" and not resize.antialias:  # PyTorch's has another coefficient
        return torch.from_numpy(resize_bicubic(pixels.numpy(), size))
    mode = "bilinear" if resize.mode == "linear" else "bicubic"
    return interpolate(pixels, size=size, mode=mode, antialias=resize.antialias)
