"""Options for what is measured of a head besides its accuracy on the test split."""

from typing import Annotated

import typer

__all__ = ["Folds"]

Folds = Annotated[
    int | None,
    typer.Option(
        help="Also cross-validate over train and test together, in so many stratified folds.",
        metavar="N",
    ),
]
