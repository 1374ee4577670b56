"""From image to label, one image at a time: where the time goes."""

from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np

from tlbench.core.arrays import Images
from tlbench.core.progress import task
from tlbench.engine import BoundBatch, Session, device_of
from tlbench.heads import HEADS, Classifier, fit_head
from tlbench.latency import Clock, SystemClock
from tlbench.records import Breakdown
from tlbench.workflows.steps.accuracy import MeasuredAccuracy
from tlbench.workflows.steps.context import RunContext

_N_IMAGES = 100
_N_WARM_UP = 5


def breakdown_with_first_head(context: RunContext, accuracy: MeasuredAccuracy) -> Breakdown | None:
    """Time the way from image to label with the first head on the backbone, if any."""
    ours = (r for r in accuracy.results if not r.baseline and not r.fitted_on)
    first = next(ours, None)
    if first is None or accuracy.train is None:  # only heads that need a map, on the pixels
        return None
    with task(context.listener, f"breakdown with {first.head}"):
        # The session must not spin beside the fit, nor be opened in the middle of the way.
        context.close_session()
        classifier = fit_head(
            HEADS.load(first.head),
            first.params,  # those that were scored: a search may have chosen one
            accuracy.train.features,
            accuracy.train.labels,
            seed=context.config.seed,
        )
        images = context.dataset.test.images
        return measure_breakdown(context.session(), images, classifier, first.head)


def measure_breakdown(
    session: Session,
    images: Images,
    classifier: Classifier,
    head: str,
    *,
    n_images: int = _N_IMAGES,
    clock: Clock | None = None,
) -> Breakdown:
    """Time each part of the way from image to label, and the whole, alternately.

    Reading an image decodes it; resizing and scaling are inside the graph, so they count as
    backbone. On a device there are also ``to device`` and ``to host``. Images of another size than
    the first one's are left out.
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
