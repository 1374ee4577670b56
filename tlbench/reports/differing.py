"""The images on which runs differ, as CSV for a spreadsheet or a script."""

import csv
import io
from collections.abc import Iterable, Sequence

from tlbench.records import DifferingImage


def differing_csv(images: Iterable[DifferingImage], classes: Sequence[str]) -> str:
    """Return a line for each image and entry, under a header.

    Parameters
    ----------
    images : iterable of DifferingImage
    classes : sequence of str
        Names of the labels; a label without a name stands as its number.
    """

    def name(label: int) -> str:
        return classes[label] if 0 <= label < len(classes) else str(label)

    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(("run", "entry", "index", "label", "first", "second"))
    for one in images:
        labels = (name(label) for label in (one.label, one.first, one.second))
        writer.writerow((one.run, one.entry, one.index, *labels))
    return file.getvalue()
