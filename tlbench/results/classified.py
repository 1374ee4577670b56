"""What a classifier file said of images, to be shown."""

from dataclasses import dataclass

__all__ = ["ClassifiedImage", "ClassifiedImages"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifiedImage:
    """One image.

    Attributes
    ----------
    image : str
        Its path, as it was found.
    label : int
        Position among the classes. The head's own decision: with a head whose probabilities are
        calibrated, another class may be more probable.
    probability : float
        Of that class.
    ranked : tuple of (int, float)
        The most probable classes with their probabilities, the largest first.
    """

    image: str
    label: int
    probability: float
    ranked: tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifiedImages:
    """The readable images in the order they were given, and the path and reason of the others."""

    classifier: str
    sha256: str
    head: str
    provider: str
    classes: tuple[str, ...]
    images: tuple[ClassifiedImage, ...]
    unreadable: tuple[tuple[str, str], ...]
    elapsed_s: float  # from the first file read to the last answer
