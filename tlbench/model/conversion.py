"""What happened when an exported file was converted to a lower precision, as the card keeps it."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSample:
    """The training images that a conversion saw; never test images.

    Attributes
    ----------
    dataset, fingerprint : str
        Name of the dataset, and SHA-256 of its train split.
    seed : int
        The images are the first readable ones of a permutation of the split by this seed.
    n_calibration : int
        Images that ranges and biases were fitted on; 0 where the precision needs none.
    n_held_out : int
        Images after those, on which the drift was measured.
    """

    dataset: str
    fingerprint: str
    split: Literal["train"] = "train"
    seed: int
    n_calibration: int
    n_held_out: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """How far the converted file's features are from the source file's, on the same raw images.

    Attributes
    ----------
    min_cosine, mean_cosine : float
        Over the images, of the cosine between an image's two feature vectors.
    median_rel : float
        Median over the images of (length of the difference / length of the source's features).
    """

    n_images: int
    min_cosine: float
    mean_cosine: float
    median_rel: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """How a file came to its precision.

    Attributes
    ----------
    method : str
        What was done, for people.
    software : dict of str to str
        Versions of what the result depends on.
    source_sha256 : str
        Digest of the fp32 file that was converted; the card's parity record is that file's.
    reduce_range : bool or None
        Whether weights have 7 bits, for processors whose int8 products saturate; None where the
        precision knows no such thing.
    kept_in_float : tuple of str
        Layers and operators that stay in float32.
    """

    precision: str
    method: str
    software: dict[str, str]
    source_sha256: str
    images: ImageSample
    reduce_range: bool | None = None
    kept_in_float: tuple[str, ...] = ()
    drift: Drift
