"""What the arguments of a measurement mean: names, and the objects that some names stand for."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from tlbench.core.errors import ConfigError
from tlbench.core.registry import Registry
from tlbench.datasets import Columns, Dataset
from tlbench.features import BASELINES, FeatureBaseline
from tlbench.heads import HEADS, Classifier, Head, ParamValue, as_head
from tlbench.workflows import GivenObjects, default_cache_dir, default_data_dir

DatasetLike: TypeAlias = str | Path | Dataset
HeadLike: TypeAlias = str | Head | Classifier | tuple[str, Classifier]
BaselineLike: TypeAlias = str | FeatureBaseline
Folder: TypeAlias = str | Path | None


def accuracy_settings(
    dataset: DatasetLike,
    heads: HeadLike | Sequence[HeadLike],
    head_params: Mapping[str, ParamValue] | None,
    baselines: BaselineLike | Sequence[BaselineLike],
) -> dict[str, Any]:
    """Return the settings in which names stand for objects, with the objects beside them."""
    dataset_name, datasets = named_dataset(dataset)
    head_names, given_heads = _named(_listed(heads, _is_head), HEADS, _head)
    baseline_names, given_baselines = _named(_listed(baselines, _is_baseline), BASELINES, _baseline)
    return {
        "dataset": dataset_name,
        "heads": head_names,
        "head_params": tuple(f"{name}={value}" for name, value in (head_params or {}).items()),
        "baselines": baseline_names,
        "given": GivenObjects(datasets=datasets, heads=given_heads, baselines=given_baselines),
    }


def _listed(given: Any, is_single: Callable[[Any], bool]) -> Iterable[Any]:  # noqa: ANN401
    """Return what is given as a sequence, where it may be a single entry."""
    return [given] if is_single(given) or not isinstance(given, Iterable) else given


def _is_head(given: Any) -> bool:  # noqa: ANN401 - anything may be given
    return isinstance(given, str | Head) or hasattr(given, "get_params") or _is_pair(given)


def _is_baseline(given: Any) -> bool:  # noqa: ANN401 - anything may be given
    return isinstance(given, str | FeatureBaseline)


def _is_pair(given: Any) -> bool:  # noqa: ANN401 - anything may be given
    """Tell a name and its classifier from a tuple of two heads."""
    match given:
        case (str(), classifier) if isinstance(given, tuple):
            return not isinstance(classifier, str | tuple | Head)
    return False


def _head(given: Any) -> Head:  # noqa: ANN401 - anything may be given
    return as_head(given[1], given[0]) if _is_pair(given) else as_head(given)


def _baseline(given: Any) -> FeatureBaseline:  # noqa: ANN401 - anything may be given
    if not isinstance(given, FeatureBaseline):
        msg = f"baselines takes names and feature baselines, got {type(given).__name__}."
        raise ConfigError(msg)
    return given


def _named(
    given: Iterable[Any], registry: Registry[Any], convert: Callable[[Any], Any]
) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Return the names of what is given, and by name what was given as an object."""
    names: list[str] = []
    objects: dict[str, Any] = {}
    for one in given:
        if isinstance(one, str):
            names.append(one)
            continue
        made = convert(one)
        if made.name in names:
            msg = (
                f"Two {registry.kind} are named {made.name!r}. "
                "Give a classifier another name: ('NAME', classifier)."
            )
            raise ConfigError(msg)
        names.append(made.name)
        if made.name not in registry.names():
            objects[made.name] = made
        elif registry.load(made.name) is not one:
            msg = f"{made.name!r} is the name of one of tlbench's {registry.kind}. Choose another."
            raise ConfigError(msg)
    return tuple(names), objects


def named_dataset(dataset: DatasetLike) -> tuple[str, dict[str, Dataset]]:
    """Return the name of a dataset, and the object that it stands for."""
    if isinstance(dataset, Dataset):
        return dataset.name, {dataset.name: dataset}
    if isinstance(dataset, Path):
        kind = {".csv": "csv", ".parquet": "parquet"}.get(dataset.suffix.lower(), "folder")
        return f"{kind}:{dataset}", {}
    if not isinstance(dataset, str):
        raise ConfigError(
            f"dataset must be a name, a folder or a Dataset, got {type(dataset).__name__}. "
            "tlbench.Dataset.from_arrays makes one of arrays."
        )
    return dataset, {}


def columns_of(path: str | None, label: str | None, split: str | None) -> Columns:
    """Return the columns of a table, as a configuration has them."""
    return Columns(path_column=path, label_column=label, split_column=split)


def names_of(given: str | Sequence[str]) -> tuple[str, ...]:
    """Return one name or several as a tuple."""
    return (given,) if isinstance(given, str) else tuple(given)


def folder_settings(data_dir: Folder, cache_dir: Folder) -> dict[str, Any]:
    """Return the folders of a configuration; None means the user's own."""
    return {
        "data_dir": default_data_dir() if data_dir is None else Path(data_dir).expanduser(),
        "cache_dir": default_cache_dir() if cache_dir is None else Path(cache_dir).expanduser(),
    }
