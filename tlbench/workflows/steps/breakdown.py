"""From image to label, one image at a time: where the time goes."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from tlbench.core.arrays import ImageArray, Images
from tlbench.core.errors import UnreadableImageError
from tlbench.core.progress import task
from tlbench.engine import BoundBatch, Session, device_of, open_session
from tlbench.heads import HEADS, Classifier, fit_head
from tlbench.latency import Clock, SystemClock
from tlbench.model import OnnxModel, preprocessing_of
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
            context.config.given.heads.get(first.head) or HEADS.load(first.head),
            first.params,  # those that were scored: a search may have chosen one
            accuracy.train.features,
            accuracy.train.labels,
            seed=context.config.seed,
        )
        images = context.dataset.test.images
        found = measure_breakdown(context.session(), images, classifier, first.head)
    if found is None:
        context.listener.warn("No breakdown: no test image can be read any more.")
    return found


def measure_breakdown(
    session: Session,
    images: Images,
    classifier: Classifier,
    head: str,
    *,
    n_images: int = _N_IMAGES,
    clock: Clock | None = None,
) -> Breakdown | None:
    """Time each part of the way from image to label, and the whole, alternately.

    Reading an image decodes it. The crop, the resize and the scaling are inside the graph, so they
    count as backbone; they are timed as a graph of their own as well, on the same images. On a
    device there are also ``to device`` and ``to host``. Images that cannot be read,
    and those of another size than the first, are left out. None if no image can be read.
    """
    clock = clock or SystemClock()
    chosen, first = _of_one_size(images, 4 * n_images)
    if first is None:
        return None
    is_host = device_of(session.provider) == "cpu"
    way = (_host_way if is_host else _device_way)(session, first)
    steps: list[tuple[str, Callable[[Any], Any]]] = [
        ("decode", lambda i: np.asarray(images[i])[np.newaxis]),
        *way,
        ("head", classifier.predict),
    ]
    parts: dict[str, list[float]] = {name: [] for name, _ in steps}
    whole: list[float] = []
    preprocess: list[float] = []
    with _preprocessing_session(session) as part:
        apart = None if part is None else (_host_way if is_host else _device_way)(part, first)
        for count, i in enumerate([*chosen[:_N_WARM_UP], *chosen[:n_images]]):
            try:
                together, one_by_one = _time_steps(i, steps, clock)
                alone = _time_steps(i, [steps[0], *apart], clock)[1] if apart else {}
            except UnreadableImageError:  # it was readable when the images were chosen
                continue
            if count >= min(_N_WARM_UP, len(chosen)):
                whole.append(together)
                preprocess += [alone["backbone"]] if alone else []
                for name, taken in one_by_one.items():
                    parts[name].append(taken)
    if not whole:
        return None
    return Breakdown(
        parts={name: median(times) for name, times in parts.items()},
        end_to_end_s=median(whole),
        n_images=len(whole),
        head=head,
        preprocess_s=median(preprocess) if preprocess else None,
    )


@contextmanager
def _preprocessing_session(session: Session) -> Iterator[Session | None]:
    """Open the graph of the preprocessing like *session*; None for files that do not mark it."""
    part = preprocessing_of(session.model.proto)
    if part is None:
        yield None
        return
    with TemporaryDirectory(prefix="tlbench-") as folder:
        path = Path(folder) / "preprocessing.onnx"
        path.write_bytes(part.SerializeToString())
        with open_session(
            OnnxModel(path),
            provider=session.provider,
            provider_options=session.requested_options,
            threads=session.threads,
            spin=session.spin,
        ) as opened:
            yield opened


def _of_one_size(images: Images, most: int) -> tuple[list[int], ImageArray | None]:
    """Return the readable images of one size among *most* from the first readable one, and that."""
    first: ImageArray | None = None
    chosen: list[int] = []
    for i in range(len(images)):
        try:
            image = images[i]
        except UnreadableImageError:
            continue
        if first is None:
            first, most = image, most + i
        if image.shape == first.shape:
            chosen.append(i)
        if i + 1 >= most:
            break
    return chosen, first


def _time_steps(
    i: int, steps: Sequence[tuple[str, Callable[[Any], Any]]], clock: Clock
) -> tuple[float, dict[str, float]]:
    """Return the seconds of all steps together, and of each in a second pass."""
    value: Any = i
    started = clock.now_s()
    for _, step in steps:
        value = step(value)
    together = clock.now_s() - started
    value = i
    one_by_one: dict[str, float] = {}
    for name, step in steps:
        started = clock.now_s()
        value = step(value)
        one_by_one[name] = clock.now_s() - started
    return together, one_by_one


def _host_way(session: Session, _: ImageArray) -> list[tuple[str, Callable[[Any], Any]]]:
    return [("backbone", session.run)]


def _device_way(session: Session, image: ImageArray) -> list[tuple[str, Callable[[Any], Any]]]:
    bound: BoundBatch = session.bind(np.asarray(image)[np.newaxis])
    return [
        ("to device", bound.load),
        ("backbone", lambda _: bound.run()),
        ("to host", lambda _: bound.fetch()),
    ]
