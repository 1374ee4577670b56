"""The raw images that every export is verified on."""

import numpy as np

from tlbench.core.arrays import ImageArray

# Two sizes, one not square and neither the size of any network's input: the resize inside the graph
# is verified together with the network, enlarging and (below 96 pixels of input) reducing.
_SHAPES = ((4, 32, 32), (2, 96, 80))


def probe_batches(seed: int = 0, *, odd_sizes: bool = False) -> list[ImageArray]:
    """Return batches of uint8 images (N, H, W, 3), the same for the same seed.

    With *odd_sizes* they lack their last row and column: no position of the nearest pixel then lies
    half way between two, where rounding decides.

    Coarse random patches under fine noise: like photographs they have most energy at low
    frequencies, and unlike constant images they show a swapped axis or channel.
    """
    generator = np.random.default_rng(seed)
    batches = []
    for n_images, height, width in _SHAPES:
        coarse = generator.uniform(30, 225, (n_images, height // 8, width // 8, 3))
        patches = coarse.repeat(8, axis=1).repeat(8, axis=2)
        noise = generator.normal(0, 20, patches.shape)
        images = np.clip(patches + noise, 0, 255).astype(np.uint8)
        batches.append(images[:, :-1, :-1].copy() if odd_sizes else images)
    return batches
