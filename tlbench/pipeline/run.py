"""One whole run: from a configuration to a record."""

from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlbench import __version__
from tlbench.config import RunConfig
from tlbench.datasets import Dataset
from tlbench.engine import check_provider, onnxruntime_facts
from tlbench.environment import available_cpus, capture_environment
from tlbench.evaluation import BLAS_THREADS, check_training
from tlbench.pipeline.accuracy import Contestants, measure_accuracy, refuse_random_weights
from tlbench.pipeline.cautions import cautions_of
from tlbench.pipeline.command import repeat_command
from tlbench.pipeline.extraction import Workplace, extract_split, load_limited_dataset
from tlbench.pipeline.latency import latency_inputs, measure_latency
from tlbench.progress import Listener, Silent
from tlbench.results import new_run_id, plain_value
from tlbench.results.records import (
    AccuracyResult,
    DatasetInfo,
    ExtractionResult,
    LatencyResult,
    ModelInfo,
    RunConfigRecord,
    RunResult,
    SkippedImage,
)

__all__ = ["RunOutcome", "run_benchmark"]


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """A finished run, not saved yet: `tlbench.results.save_run` takes both parts."""

    result: RunResult
    predictions: dict[str, NDArray[np.generic]]


def run_benchmark(config: RunConfig, listener: Listener | None = None) -> RunOutcome:
    """Measure what *config* asks for: accuracy, latency or both.

    Parameters
    ----------
    config : RunConfig
        Checked before any work begins; names are resolved first, so that a typing error costs no
        time.
    listener : Listener or None
        Told about the progress.

    Raises
    ------
    TlbenchError
        If anything is unknown, unavailable, missing or damaged; nothing is saved then.
    """
    listener = listener or Silent()
    created = datetime.now(UTC)
    check_provider(config.provider)
    contestants = Contestants(config) if config.accuracy else None
    with Workplace.opened(config, listener) as workplace:
        dataset: Dataset | None = None
        info: DatasetInfo | None = None
        extraction: tuple[ExtractionResult, ...] = ()
        accuracy: list[AccuracyResult] = []
        latency: list[LatencyResult] = []
        predictions: dict[str, NDArray[np.generic]] = {}
        unlearnable: tuple[str, ...] = ()
        if contestants is not None:
            refuse_random_weights(workplace.model)
            dataset = load_limited_dataset(config, listener)
            check_training(dataset.train.labels, dataset.classes)  # before minutes of extraction
            train = extract_split(workplace, dataset.train, "train")
            test = extract_split(workplace, dataset.test, "test")
            # An idle session's threads would spin beside the fit.
            workplace.close_session()
            unlearnable = check_training(train.labels, dataset.classes)
            extraction = (train.result, test.result)
            info = _dataset_info(dataset, train.skipped + test.skipped)
            accuracy, predictions = measure_accuracy(workplace, dataset, contestants, train, test)
        inputs = latency_inputs(workplace.model, dataset.test.images if dataset else None)
        if config.latency:
            latency = measure_latency(workplace.session(), inputs, config.batch_size, listener)
            workplace.close_session()
        model = workplace.model
        build, providers = onnxruntime_facts()
        result = RunResult(
            id=new_run_id(created),
            created_at=created.isoformat(timespec="seconds"),
            tlbench_version=__version__,
            config=RunConfigRecord(
                requested=_config_values(config),
                effective=_effective(config, latency),
                command=repeat_command(config),
            ),
            environment=capture_environment(onnxruntime_build=build, providers=providers),
            model=ModelInfo(
                path_name=model.path.name,
                sha256=model.sha256,
                size_bytes=model.size_bytes,
                card=model.card,
                assumptions=inputs.assumptions if config.latency else (),
            ),
            dataset=info,
            extraction=extraction,
            accuracy=tuple(accuracy),
            latency=tuple(latency),
            cautions=cautions_of(
                config, info, unlearnable, tuple(accuracy), (*extraction, *latency)
            ),
        )
    return RunOutcome(result, predictions)


def _dataset_info(dataset: Dataset, skipped: tuple[SkippedImage, ...]) -> DatasetInfo:
    n_skipped = {name: sum(s.split == name for s in skipped) for name in ("train", "test")}
    return DatasetInfo(
        name=dataset.name,
        source=dataset.source,
        fingerprint=dataset.fingerprint,
        n_train=len(dataset.train) - n_skipped["train"],
        n_test=len(dataset.test) - n_skipped["test"],
        classes=dataset.classes,
        skipped=skipped,
    )


def _config_values(config: RunConfig) -> dict[str, Any]:
    values: dict[str, Any] = plain_value({f.name: getattr(config, f.name) for f in fields(config)})
    return values


def _effective(config: RunConfig, latency: list[LatencyResult]) -> dict[str, Any]:
    return {
        "threads": config.threads or available_cpus(),
        "head_threads": BLAS_THREADS,
        "latency_batch_sizes": [result.batch_size for result in latency],
    }
