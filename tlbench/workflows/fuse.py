"""From a saved run to one classifier file: fit the head again, join, verify, write."""

import warnings
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tlbench.core.errors import ConfigError, DataError, ModelError, ResultError, one_line
from tlbench.core.files import atomic_path, storage_errors
from tlbench.core.progress import Listener, Silent, task
from tlbench.engine import feature_output, runtime_version
from tlbench.fusion import (
    PROBABILITY_TOLERANCE,
    FittedHead,
    attach_card,
    fit_classifier,
    fuse_graphs,
)
from tlbench.heads import BLAS_THREADS, HEADS
from tlbench.model import ClassifierCard, OnnxModel, Verification
from tlbench.records import (
    AccuracyResult,
    Predictions,
    RunResult,
    check_predictions,
    entry_name,
    find_run,
    read_predictions,
    read_run,
)
from tlbench.workflows.config import RunConfig
from tlbench.workflows.predict import classify_images
from tlbench.workflows.steps.context import RunContext
from tlbench.workflows.steps.features import SplitFeatures, extract_split

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True, slots=True)
class _Source:
    """A run, and its result of the head that is fused."""

    run: RunResult
    measured: AccuracyResult


@dataclass(frozen=True, slots=True, eq=False)
class _Reference:
    """scikit-learn's predictions for the rows *index* of the test split."""

    index: NDArray[np.int64]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64]


def fuse_run(
    name: str,
    *,
    head: str,
    destination: Path,
    output: Path = Path("runs"),
    data_dir: Path | None = None,
    cache_dir: Path | None = None,
    listener: Listener | None = None,
) -> OnnxModel:
    """Put the backbone of a run and one of its heads into one ONNX file.

    Parameters
    ----------
    name : str
        The run: its folder, its ``run.json``, its id in *output*, or ``last``.
    head : str
        One of the run's heads.
    data_dir, cache_dir : Path or None
        Where the dataset and the features lie now; None for where they lay in the run.

    Returns
    -------
    OnnxModel
        Input as the backbone's; outputs ``label``, int64 (N,), an index into the class names, and
        ``probabilities``, float32 (N, n_classes).

    Raises
    ------
    TlbenchError
        If the run cannot be repeated as it was, the head has no ONNX form, or the joined graph
        does not predict as scikit-learn does on every test image. Nothing is written then.

    Notes
    -----
    Features come from the store, or from the network where the store has lost them. The head is
    fitted with the run's parameters and must predict what the run predicted. The joined graph is
    tried in float32 first; where that changes a label or a probability, its head computes in
    float64, and the listener is told.
    """
    listener = listener or Silent()
    path = find_run(name, output)
    run = read_run(str(path), output)
    source = _Source(run, _measured(run, head))
    before = _saved(source, path.parent)
    config = saved_config(run, data_dir=data_dir, cache_dir=cache_dir)
    with atomic_path(destination) as part, RunContext.opened(config, listener) as context:
        _check_same(run, context)
        train = extract_split(context, context.dataset.train, "train")
        test = extract_split(context, context.dataset.test, "test")
        context.close_session()  # its idle threads would spin beside the fit
        fitted = _fit(source.measured, train, context)
        labels = fitted.predict(test.features)
        _check_predictions(source, before, test, labels)
        reference = _Reference(test.index, labels, fitted.probabilities(test.features))
        fused, card = _verified(source, fitted, reference, context, part)
        attach_card(fused, card)
        with storage_errors(destination):
            part.write_bytes(fused.SerializeToString())
    return OnnxModel(destination)


def saved_config(
    run: RunResult, *, data_dir: Path | None = None, cache_dir: Path | None = None
) -> RunConfig:
    """Return the configuration of *run*, with other folders where they are given."""
    if objects := run.config.requested.get("given"):
        msg = (
            f"Run {run.id} used objects of a Python session ({', '.join(objects)}), so it cannot "
            "be repeated from its record. Measure a run in which names stand for everything."
        )
        raise ResultError(msg)
    try:
        config = msgspec.convert(run.config.requested, RunConfig, dec_hook=_path)
    except (msgspec.MsgspecError, ValueError) as error:
        msg = (
            f"The configuration of run {run.id} cannot be used: {one_line(error)}. Repeat the run."
        )
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


def _measured(run: RunResult, head: str) -> AccuracyResult:
    """Return the run's result of *head* on the backbone's own features."""
    if run.is_training:
        msg = (
            f"Run {run.id} is of a training: the network's own classifier is in "
            f"{run.model.path_name} already, as its output logits. To fuse another head with its "
            f"features, run tlbench run {run.model.path_name} first, and name that run."
        )
        raise ConfigError(msg)
    ours = [r for r in run.accuracy if r.features == "backbone" and r.fitted_on is None]
    for result in ours:
        if result.head == head:
            return result
    if not ours:
        raise ResultError(f"Run {run.id} measured no accuracy. Make one with tlbench run.")
    known = ", ".join(dict.fromkeys(r.head for r in ours))
    msg = f"Run {run.id} has no head {head!r}; its heads: {known}. Choose one of these."
    raise ConfigError(msg)


def _saved(source: _Source, folder: Path) -> Predictions:
    """Return the run's predictions, which lie beside its record."""
    found = read_predictions(folder)
    if found is None:
        msg = (
            f"There is no predictions.npz in {folder}: without the run's predictions the fitted "
            "head cannot be verified. Copy the run's whole folder, or repeat the run."
        )
        raise ResultError(msg)
    check_predictions(source.run, found)
    return found


def _repeat(run: RunResult) -> str:
    """Return the advice to repeat a run, with its command line if the record has one."""
    return f"Repeat the run: {run.config.command}" if run.config.command else "Repeat the run."


def _check_same(run: RunResult, context: RunContext) -> None:
    """Raise unless model and data are those of the run."""
    again = _repeat(run)
    if context.model.sha256 != run.model.sha256:
        msg = (
            f"{context.model.path} is not the model of run {run.id}: its SHA-256 begins with "
            f"{context.model.sha256[:12]}, the run's with {run.model.sha256[:12]}. {again}"
        )
        raise ModelError(msg)
    if run.dataset is None or context.dataset.fingerprint != run.dataset.fingerprint:
        msg = f"Dataset {context.dataset.name!r} is not what run {run.id} measured. {again}"
        raise DataError(msg)


def _fit(measured: AccuracyResult, train: SplitFeatures, context: RunContext) -> FittedHead:
    from threadpoolctl import threadpool_limits  # comes with scikit-learn

    head, seed = HEADS.load(measured.head), context.config.seed
    params, _ = head.adapt(measured.params, train.labels)
    with (
        task(context.listener, f"fit {head.name} on backbone"),
        warnings.catch_warnings(),
        threadpool_limits(limits=BLAS_THREADS, user_api="blas"),
    ):
        warnings.simplefilter("ignore")  # they are in the run's notes
        return fit_classifier(
            head.name,
            lambda: head.build(params, seed),
            train.features,
            train.labels,
            n_classes=len(context.dataset.classes),
            seed=seed,
        )


def _check_predictions(
    source: _Source, before: Predictions, test: SplitFeatures, labels: NDArray[np.int64]
) -> None:
    """Raise ResultError unless the head fitted now predicts what the run's did."""
    run, head = source.run, source.measured.head
    if not np.array_equal(before.index, test.index):
        msg = f"The predictions of run {run.id} belong to other test images. Repeat the run."
        raise ResultError(msg)
    expected = before.entries[entry_name(source.measured)]
    if n_other := int(np.count_nonzero(expected != labels)):
        msg = (
            f"Head {head!r}, fitted again, classifies {n_other} of {len(labels)} test images "
            f"differently from run {run.id}: software or processor have changed. {_repeat(run)}"
        )
        raise ResultError(msg)


def _verified(
    source: _Source,
    fitted: FittedHead,
    reference: _Reference,
    context: RunContext,
    part: Path,
) -> "tuple[onnx.ModelProto, ClassifierCard]":
    """Return a graph that predicts as scikit-learn does, and its card."""
    run, measured, problem = source.run, source.measured, ""
    for arithmetic in ("float32", "float64"):
        if problem:
            context.listener.warn(f"In float32 {problem}; the head computes in float64.")
        fused = fuse_graphs(context.model, feature_output(context.model), fitted, arithmetic)
        with storage_errors(part):
            part.write_bytes(fused.SerializeToString())
        problem, verification = _verify(OnnxModel(part), reference, context)
        if problem:
            continue
        assert run.dataset is not None
        return fused, ClassifierCard(
            head=measured.head,
            params=measured.params,
            classes=run.dataset.classes,  # as printable text, whatever the folders are called
            probabilities=fitted.probabilities_are,
            arithmetic=arithmetic,
            backbone_sha256=context.model.sha256,
            dataset=run.dataset.name,
            dataset_fingerprint=run.dataset.fingerprint,
            n_train=measured.n_train,
            n_test=measured.n_test,
            n_correct=measured.n_correct,
            accuracy_fraction=measured.accuracy_fraction,
            run=run.id,
            verification=verification,
            software={
                name: metadata.version(name)
                for name in ("tlbench", "scikit-learn", "numpy", "onnx")
            },
        )
    msg = (
        f"The joined graph does not predict as scikit-learn does: in float64 {problem}. Nothing "
        "was written. On an accelerator, repeat the run with provider='cpu' and fuse that run."
    )
    raise ModelError(msg)


def _verify(
    model: OnnxModel, reference: _Reference, context: RunContext
) -> tuple[str, Verification]:
    """Return what is wrong, or nothing, and the record of the comparison."""
    config = context.config
    test, listener = context.dataset.test, context.listener
    with task(listener, "verify against scikit-learn", len(test), "images"):
        found = classify_images(model, test.images, config, listener=listener)
    if not np.array_equal(found.index, reference.index):
        raise DataError("Other test images can be read now than in the run. Repeat the run.")
    difference = float(np.abs(found.probabilities - reference.probabilities).max())
    n_other = int(np.count_nonzero(found.labels != reference.labels))
    record = Verification(
        reference=f"scikit-learn {metadata.version('scikit-learn')}",
        n_images=len(found.index),
        max_difference=difference,
        runtime=runtime_version(),
        provider=config.provider,
        batch_size=config.batch_size,
    )
    if n_other:
        return f"{n_other} of {len(found.index)} labels differ", record
    if not difference <= PROBABILITY_TOLERANCE:
        return f"a probability differs by {difference:.1e}", record
    return "", record
