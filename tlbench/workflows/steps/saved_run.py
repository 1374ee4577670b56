"""The configuration of a saved run, as a value again."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from tlbench.core.errors import ResultError
from tlbench.records import RunResult
from tlbench.workflows.config import RunConfig


def saved_config(
    run: RunResult, *, data_dir: Path | None = None, cache_dir: Path | None = None
) -> RunConfig:
    """Return the configuration that *run* was asked for.

    Parameters
    ----------
    data_dir, cache_dir : Path or None
        Folders of this machine; None keeps those of the run.

    Raises
    ------
    ResultError
        If the record holds no configuration that this tlbench knows.
    """
    try:
        config = msgspec.convert(run.config.requested, RunConfig, dec_hook=_path)
    except (msgspec.MsgspecError, ValueError) as error:
        msg = f"The configuration of run {run.id} cannot be used: {error}. Repeat the run."
        raise ResultError(msg) from error
    if data_dir is not None:
        config = replace(config, data_dir=data_dir.expanduser())
    if cache_dir is not None:
        config = replace(config, cache_dir=cache_dir.expanduser())
    return config


def _path(kind: type, value: Any) -> Any:  # noqa: ANN401 - msgspec's own signature
    if kind is Path:
        return Path(value)
    raise NotImplementedError(kind)
