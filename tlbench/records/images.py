"""What a run keeps of its test images besides predictions: names, confidences, thumbnails, a map.

``images.json`` and ``thumbnails.webp`` lie beside ``run.json``; a report draws from them alone.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Self

from tlbench.core.errors import ResultError
from tlbench.core.files import write_atomically
from tlbench.records.codec import decode_document, encode_compact

# History of the schema of images.json. 1: the first.
IMAGES_VERSION = 1
_DOCUMENT, _SHEET = "images.json", "thumbnails.webp"


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeMap:
    """The features of the kept images in two dimensions, and how faithful that picture is.

    Attributes
    ----------
    points : (x, y) of each kept image, in their order
    recall_fraction : share of the *n_neighbours* nearest images by features that are also among
        the nearest on the map
    trustworthiness : 1 if every neighbour on the map is one by features, lower for each that is not
    n_judged : images that both were computed on
    """

    method: Literal["t-SNE", "PCA"]
    points: tuple[tuple[float, float], ...]
    seed: int
    n_features: int
    n_components: int  # principal components that t-SNE started from; of PCA, 2
    recall_fraction: float | None
    trustworthiness: float | None
    n_neighbours: int
    n_judged: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Confidence:
    """How sure one head was of each prediction."""

    # the probability of the predicted class, or its score less that of the next class
    kind: Literal["probability", "margin"]
    values: tuple[float, ...]  # of the kept images, in their order


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagesDocument:
    """The content of ``images.json``: some or all test images of a run.

    Attributes
    ----------
    rows : position of each kept image in the arrays of ``predictions.npz``
    n_test : test images of the run, kept or not
    names : of each kept image; empty if images have none
    tile_px, n_columns : side of a thumbnail, and thumbnails in each line of the sheet
    confidence : by name in ``predictions.npz``
    code_map : None if there are too few images for one
    features_key : where the feature store keeps the features, for another map
    """

    schema_version: int = IMAGES_VERSION
    rows: tuple[int, ...]
    n_test: int
    names: tuple[str, ...] = ()
    tile_px: int
    n_columns: int
    confidence: dict[str, Confidence] = field(default_factory=dict)
    code_map: CodeMap | None = None
    features_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunImages:
    """The kept images of a run: the document, and all thumbnails as one sheet."""

    document: ImagesDocument
    sheet: bytes  # WebP

    @property
    def files(self) -> dict[str, bytes]:
        """The content of both files, by name."""
        return {_DOCUMENT: encode_compact(self.document), _SHEET: self.sheet}

    @property
    def has_tsne(self) -> bool:
        """Whether the map is the one that takes long to draw."""
        code_map = self.document.code_map
        return code_map is not None and code_map.method == "t-SNE"

    def with_map(self, code_map: CodeMap) -> Self:
        """Return the same images with another map."""
        return replace(self, document=replace(self.document, code_map=code_map))

    def save(self, folder: Path) -> None:
        """Replace the document in a run's folder; the sheet stays."""
        write_atomically(folder / _DOCUMENT, encode_compact(self.document))


def read_images(folder: Path) -> RunImages | None:
    """Return what the folder of a run keeps of its images, or None for an older run.

    Raises
    ------
    ResultError
        If a file is damaged or cannot be read.
    """
    path = folder / _DOCUMENT
    try:
        content = path.read_bytes()
        path = folder / _SHEET
        sheet = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ResultError(f"{path} cannot be read: {error.strerror}.") from error
    path = folder / _DOCUMENT
    document = decode_document(
        content,
        ImagesDocument,
        str(path),
        version=IMAGES_VERSION,
        expected="a document of a run's test images",
        advice="Measure the run again.",
        error_type=ResultError,
    )
    _check(document, path)
    return RunImages(document=document, sheet=sheet)


def _check(document: ImagesDocument, path: Path) -> None:
    """Raise ResultError if the parts of a document do not belong together."""
    n_rows, code_map = len(document.rows), document.code_map
    lengths = {f"confidence {name}": len(one.values) for name, one in document.confidence.items()}
    lengths |= {"names": len(document.names)} if document.names else {}
    lengths |= {"map": len(code_map.points)} if code_map else {}
    wrong = [name for name, length in lengths.items() if length != n_rows]
    inside = all(0 <= row < document.n_test for row in document.rows)
    if wrong or not inside or document.tile_px < 1 or document.n_columns < 1:
        what = f"for {', '.join(wrong)}" if wrong else "for a sheet of thumbnails"
        raise ResultError(
            f"{path} is damaged: its values {what} do not fit {n_rows} images of "
            f"{document.n_test}. Measure the run again."
        )
