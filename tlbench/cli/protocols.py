"""Options for what is measured of a head besides its accuracy on the test split."""

from typing import Annotated

import typer

__all__ = ["Folds", "Search"]

Folds = Annotated[
    int | None,
    typer.Option(
        help="Also cross-validate over train and test together, in so many stratified folds.",
        metavar="N",
    ),
]
Search = Annotated[
    bool,
    typer.Option(
        "--search",
        help="Choose each head's penalty on a fifth of the train images, then fit on all of them.",
    ),
]
