"""From image to label, one image at a time: where the time goes."""

from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np

from tlbench.core.arrays import Images
from tlbench.engine import BoundBatch, Session, device_of
from tlbench.heads import Classifier
from tlbench.latency import Clock, SystemClock
from tlbench.records import Breakdown

_N_IMAGES = 100
_N_WARM_UP = 5


def measure_breakdown(
    session: Session,
    images: Images,
    classifier: Classifier,
    head: str,
    *,
    n_images: int = _N_IMAGES,
    clock: Clock | None = None,
) -> Breakdown:
    """Time the parts of the way from image to label, and in turn with them the whole.

    Parameters
    ----------
    images : Images
        Reading one decodes it, where it is kept encoded. Resizing and scaling are inside the graph,
        so they count as backbone.
    classifier : Classifier
        A fitted head.

    Returns
    -------
    Breakdown
        Parts ``decode``, ``backbone``, ``head``; on a device also ``to device`` and ``to host``.
        There the first image's size stands for all: other sizes are left out.
    """
    clock = clock or SystemClock()
    is_host = device_of(session.provider) == "cpu"
    way = _host_way(session) if is_host else _device_way(session, images[0])
    steps: list[tuple[str, Callable[[Any], Any]]] = [
        ("decode", lambda i: np.asarray(images[i])[np.newaxis]),
        *way,
        ("head", classifier.predict),
    ]
    parts: dict[str, list[float]] = {name: [] for name, _ in steps}
    whole: list[float] = []
    shape = images[0].shape
    chosen = [i for i in range(min(len(images), 4 * n_images)) if images[i].shape == shape]
    for count, i in enumerate([*chosen[:_N_WARM_UP], *chosen[:n_images]]):
        value: Any = i
        started = clock.now_s()
        for _, step in steps:
            value = step(value)
        taken = clock.now_s() - started
        is_counted = count >= min(_N_WARM_UP, len(chosen))
        if is_counted:
            whole.append(taken)
        value = i
        for name, step in steps:
            started = clock.now_s()
            value = step(value)
            taken = clock.now_s() - started
            if is_counted:
                parts[name].append(taken)
    return Breakdown(
        parts={name: median(times) for name, times in parts.items()},
        end_to_end_s=median(whole),
        n_images=len(whole),
        head=head,
    )


def _host_way(session: Session) -> list[tuple[str, Callable[[Any], Any]]]:
    return [("backbone", session.run)]


def _device_way(session: Session, image: Any) -> list[tuple[str, Callable[[Any], Any]]]:  # noqa: ANN401
    bound: BoundBatch = session.bind(np.asarray(image)[np.newaxis])
    return [
        ("to device", bound.load),
        ("backbone", lambda _: bound.run()),
        ("to host", lambda _: bound.fetch()),
    ]
