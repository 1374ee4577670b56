"""Options for what is measured of a head besides its accuracy on the test split."""

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from tlbench.cli.groups import OptionGroup
from tlbench.cli.options import whole_numbers


@dataclass(frozen=True, kw_only=True)
class ProtocolOptions(OptionGroup):
    """What is measured of a head besides its accuracy on the test split."""

    folds: Annotated[
        int | None,
        typer.Option(
            help="Also cross-validate over train and test together, in so many stratified folds.",
            metavar="N",
        ),
    ] = None
    search: Annotated[
        bool,
        typer.Option(
            "--search",
            help="Choose each head's penalty on a fifth of the train images, then fit on all of "
            "them.",
        ),
    ] = False
    learning_curve: Annotated[
        str,
        typer.Option(
            help="Also train on so many images of each class, and test on the whole test split.",
            metavar="1,5,10",
            show_default=False,
        ),
    ] = ""
    curve_seeds: Annotated[
        int, typer.Option(help="Random draws for each size of a learning curve.", metavar="N")
    ] = 5

    def settings(self) -> dict[str, Any]:
        """Return them as one configuration of protocols."""
        from tlbench.workflows import ProtocolConfig

        protocol = ProtocolConfig(
            folds=self.folds,
            curve=whole_numbers("--learning-curve", self.learning_curve, "1,5,10,50"),
            curve_seeds=self.curve_seeds,
            search=self.search,
        )
        return {"protocol": protocol}
