"""One fit of a protocol: a fold of a cross-validation, or a point of a learning curve."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tlbench.core.arrays import FloatArray, LabelArray
from tlbench.core.errors import ConfigError, DataError
from tlbench.heads.fit import FittableHead, FittedHead, fit_and_predict
from tlbench.heads.score import check_features
from tlbench.heads.search import Range, can_search, search_notes, search_parameter
from tlbench.records import Search

Labelled = tuple[FloatArray, LabelArray]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FoldFit:
    """A fitted head, how its parameter was chosen, and what it got right.

    Attributes
    ----------
    fitted : FittedHead
    search : Search or None
        Made on the training images of this part alone.
    n_correct : int
    notes : tuple of str
        Those of the fit, and whether nothing could be searched.
    """

    fitted: FittedHead
    search: Search | None
    n_correct: int
    notes: tuple[str, ...]


def fit_part(
    head: FittableHead,
    params: Mapping[str, Any],
    train: Labelled,
    test: Labelled,
    *,
    title: str,
    features: str,
    space: Range | None,
    seed: int,
    on_value: Callable[[], None],
) -> FoldFit:
    """Fit a head on some images, score it on others.

    Parameters
    ----------
    title : str
        Which part this is, for an error message.
    space : SearchSpace or None
        What is chosen on *train* before the fit.

    Raises
    ------
    ConfigError, DataError
        As `tlbench.heads.evaluate_head`; the message begins with the title.
    """
    try:
        check_features(features, *train, *test)
        search: Search | None = None
        notes: tuple[str, ...] = ()
        if space is not None and can_search(train[1]):
            search = search_parameter(head, space, params, *train, seed=seed, on_value=on_value)
            params = {**params, space.parameter: search.chosen}
        elif space is not None:
            text = (
                f"Of {len(train[1])} training images none can be held out for a search: "
                f"{space.parameter} is as given there, {params[space.parameter]}."
            )
            notes = (text,)
        fitted = fit_and_predict(head, params, *train, test[0], seed=seed)
    except (ConfigError, DataError) as error:
        raise type(error)(f"{title}: {error}") from error
    return FoldFit(
        fitted=fitted,
        search=search,
        n_correct=int(np.count_nonzero(fitted.predictions == test[1])),
        notes=(*notes, *fitted.notes),
    )


def notes_of(parts: Sequence[FoldFit]) -> tuple[str, ...]:
    """Return the notes of all parts, each once, and those of their searches taken together."""
    searches = [part.search for part in parts if part.search is not None]
    every = dict.fromkeys(note for part in parts for note in part.notes)
    return (*search_notes(searches), *every)


def without_searched(params: Mapping[str, Any], space: Range | None) -> dict[str, Any]:
    """Return the parameters that are the same for all parts."""
    searched = None if space is None else space.parameter
    return {name: value for name, value in params.items() if name != searched}
