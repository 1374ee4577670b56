"""The settings of a sweep: a grid of cells, and what all cells share."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any

from tlbench.core.errors import ConfigError, ModelError
from tlbench.core.hashing import sha256_file, sha256_value
from tlbench.core.registry import unknown_name
from tlbench.engine import provider_name
from tlbench.heads import HEADS
from tlbench.model import (
    BACKBONES,
    check_precision,
    find_backbone,
    is_file_name,
)
from tlbench.records import CellSettings, plain_value
from tlbench.workflows.config import DEFAULT_BACKBONE, QUICK_TIMING, RunConfig

# The order decides which cells are measured one after another: those that share features.
AXES: tuple[str, ...] = (
    "backbones",
    "fits",
    "input_sizes",
    "precisions",
    "providers",
    "heads",
    "batch_sizes",
)
_FITS = ("crop", "squash", "pad")
_ID_DIGITS = 12
# What determines the figures of every cell alike, beside *rounds*.
_SHARED = (
    "dataset",
    "columns",
    "baselines",
    "head_params",
    "threads",
    "limit_train",
    "limit_test",
    "seed",
    "strict",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepConfig:
    """The settings of a sweep.

    Attributes
    ----------
    backbones : tuple of str
        Names of backbones, or paths of ``.onnx`` files.
    input_sizes, fits : tuple of int, tuple of str
        How backbones are exported; empty for each backbone's own size and fit.
    precisions, heads, providers : tuple of str
        As for a run.
    batch_sizes : tuple of int
        Images per timed call. The features are extracted in batches of *base*.
    rounds : int
        In each round, every network is timed for a moment, in a newly drawn order.
    base : RunConfig
        What all cells share: data, baselines, limits, seed, folders.
    """

    backbones: tuple[str, ...] = (DEFAULT_BACKBONE,)
    input_sizes: tuple[int, ...] = ()
    fits: tuple[str, ...] = ()
    precisions: tuple[str, ...] = ("fp32",)
    heads: tuple[str, ...] = ("softmax",)
    providers: tuple[str, ...] = ("cpu",)
    batch_sizes: tuple[int, ...] = (1,)
    rounds: int = 30
    base: RunConfig = field(default_factory=RunConfig)

    def __post_init__(self) -> None:
        object.__setattr__(self, "providers", tuple(map(provider_name, self.providers)))
        if self.rounds < 1:
            raise ConfigError(f"rounds must be at least 1, got {self.rounds}.")
        for axis in AXES:
            values = getattr(self, axis)
            if not values and axis not in {"input_sizes", "fits"}:
                raise ConfigError(f"{axis} is empty: a sweep needs at least one value of each.")
            if twice := [one for i, one in enumerate(values) if one in values[:i]]:
                raise ConfigError(f"{axis} has {twice[0]!r} twice. Leave one of them out.")
        for axis in ("input_sizes", "batch_sizes"):
            if wrong := [one for one in getattr(self, axis) if one < 1]:
                raise ConfigError(f"{axis} must be at least 1, got {wrong[0]}.")

    def check_names(self) -> None:
        """Raise an error for a name that nothing has, before any work begins."""
        for backbone in self.backbones:
            if is_file_name(backbone):
                if not Path(backbone).expanduser().is_file():
                    raise ModelError(f"There is no model file {backbone}.")
            elif backbone not in BACKBONES.names():
                find_backbone(backbone)  # which may suggest another name
        for fit in self.fits:
            if fit not in _FITS:
                raise unknown_name("fit", fit, list(_FITS))
        for precision in self.precisions:
            check_precision(precision)
        for head in self.heads:
            if head not in self.base.given.heads and head not in HEADS.names():
                raise unknown_name("head", head, HEADS.names())

    @property
    def shared(self) -> dict[str, Any]:
        """What determines the figures of all cells alike, as plain values."""
        base = self.base
        found: dict[str, Any] = plain_value({name: getattr(base, name) for name in _SHARED})
        found |= {
            "crop_fraction": base.export.crop_fraction,
            "spin": base.timing.spin,
            "costs": base.timing.costs,
            "rounds": self.rounds,
        }
        if base.given.names:
            found["given"] = base.given.names
        return found

    @property
    def settings(self) -> dict[str, Any]:
        """The grid and what is shared, as plain values."""
        return {axis: list(getattr(self, axis)) for axis in AXES} | self.shared

    def cells(self) -> dict[str, CellSettings]:
        """Return all cells by their ids, in the order in which they are measured."""
        files = {
            name: sha256_file(Path(name).expanduser())
            for name in self.backbones
            if is_file_name(name)
        }
        shared = self.shared
        found: dict[str, CellSettings] = {}
        for backbone, fit, size, precision, provider, head, batch_size in product(
            self.backbones,
            self.fits or (None,),
            self.input_sizes or (None,),
            self.precisions,
            self.providers,
            self.heads,
            self.batch_sizes,
        ):
            cell = CellSettings(
                backbone=backbone,
                input_size=size,
                fit=fit,
                precision=precision,
                head=head,
                provider=provider,
                batch_size=batch_size,
            )
            identity = plain_value(cell)
            if backbone in files:  # wherever it lies
                identity["backbone"] = files[backbone]
            key = sha256_value([identity, shared])[:_ID_DIGITS]
            if key in found:
                raise ConfigError(
                    f"backbones has two files with the same content: {found[key].backbone} and "
                    f"{backbone}. Leave one of them out."
                )
            found[key] = cell
        return found

    def run_config(self, cell: CellSettings) -> RunConfig:
        """Return the configuration of one cell's run."""
        base = self.base
        timing = replace(
            QUICK_TIMING,
            scenarios=("single" if cell.batch_size == 1 else "offline",),
            batch_sizes=(cell.batch_size,),
            rounds=self.rounds,
            spin=base.timing.spin,
            costs=base.timing.costs,
        )
        return replace(
            base,
            model=cell.backbone,
            export=replace(base.export, input_size=cell.input_size, fit=cell.fit),  # type: ignore[arg-type]  # checked in `check_names`
            precision=cell.precision,
            heads=(cell.head,),
            provider=cell.provider,
            timing=timing,
        )

    def only(self, cell: CellSettings) -> "SweepConfig":
        """Return the sweep of one cell alone."""
        return replace(
            self,
            backbones=(cell.backbone,),
            input_sizes=() if cell.input_size is None else (cell.input_size,),
            fits=() if cell.fit is None else (cell.fit,),
            precisions=(cell.precision,),
            heads=(cell.head,),
            providers=(cell.provider,),
            batch_sizes=(cell.batch_size,),
        )


def cell_names(cells: Iterable[CellSettings]) -> list[str]:
    """Return for each cell what tells it from the others: ``efficientnet-lite0, 128 px, int8``."""
    cells = list(cells)
    varies = {
        name: len({getattr(cell, name) for cell in cells}) > 1
        for name in CellSettings.__annotations__
    }

    def name_of(cell: CellSettings) -> str:
        parts = {
            "backbone": os.fspath(cell.backbone),
            "input_size": "own size" if cell.input_size is None else f"{cell.input_size} px",
            "fit": cell.fit or "own fit",
            "precision": cell.precision,
            "head": cell.head,
            "provider": cell.provider,
            "batch_size": f"batch {cell.batch_size}",
        }
        told = [text for name, text in parts.items() if varies[name]]
        return " ".join(told) or parts["backbone"]

    return [name_of(cell) for cell in cells]
