"""Options for what is measured of a head besides its accuracy on the test split."""

from typing import Annotated

import typer

from tlbench.errors import ConfigError

__all__ = ["Curve", "CurveSeeds", "Folds", "Search", "split_sizes"]

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
Curve = Annotated[
    str,
    typer.Option(
        "--learning-curve",
        help="Also train on so many images of each class, and test on the whole test split.",
        metavar="1,5,10",
        show_default=False,
    ),
]
CurveSeeds = Annotated[
    int, typer.Option(help="Random draws for each size of a learning curve.", metavar="N")
]


def split_sizes(text: str) -> tuple[int, ...]:
    """Return the numbers in ``"1,5,10"``; none for ``""``; raise ConfigError for other text."""
    try:
        return tuple(int(size) for size in text.split(",") if size.strip())
    except ValueError as error:
        msg = f"--learning-curve takes whole numbers, not {text!r}. Example: 1,5,10,50."
        raise ConfigError(msg) from error
