"""The HOG baseline: histograms of oriented gradients, the features before deep networks."""

import numpy as np

from tlbench.core.arrays import FloatArray, ImageArray
from tlbench.core.errors import MissingDependencyError
from tlbench.features.baselines import FeatureBaseline
from tlbench.features.pixels import small_image


def _extract(image: ImageArray) -> FloatArray:
    """Compute HOG of the image at 32 x 32 with the settings of Dalal and Triggs (2005).

    Nine orientations, cells of 8 x 8 pixels, blocks of 2 x 2 cells, L2-Hys, and for each pixel the
    channel with the strongest gradient: 3 x 3 blocks of 36 values. doi:10.1109/CVPR.2005.177.
    """
    try:
        from skimage.feature import hog
    except ImportError as error:
        msg = (
            f"The hog baseline needs scikit-image, which cannot be imported ({error}). "
            "Run: pip install 'tlbench[baselines]'."
        )
        raise MissingDependencyError(msg) from error

    values = hog(
        small_image(image),
        orientations=9,
        pixels_per_cell=(8, 8),
        cells_per_block=(2, 2),
        block_norm="L2-Hys",
        channel_axis=-1,
    )
    return np.asarray(values, dtype=np.float32)


HOG = FeatureBaseline(
    name="hog",
    summary="Histograms of oriented gradients of the image at 32 x 32: 324 values.",
    requires=("scikit-image",),
    extract=_extract,
)
