"""The record of a run, made of its parts."""

from dataclasses import fields
from datetime import datetime
from typing import Any

from tlbench import __version__
from tlbench.datasets import Dataset
from tlbench.engine import onnxruntime_facts
from tlbench.heads import BLAS_THREADS
from tlbench.machine import available_cpus, capture_environment, loaded_libraries
from tlbench.model import OnnxModel
from tlbench.records import (
    DataFile,
    DatasetInfo,
    LatencyResult,
    ModelInfo,
    RunConfigRecord,
    RunResult,
    SkippedImage,
    new_run_id,
    plain_value,
)
from tlbench.workflows.config import RunConfig
from tlbench.workflows.steps.unused import with_undecodable


def model_info(model: OnnxModel, assumptions: tuple[str, ...] = ()) -> ModelInfo:
    """Return a model's identity as it goes into the record."""
    return ModelInfo(
        path_name=model.path.name,
        sha256=model.sha256,
        size_bytes=model.size_bytes,
        card=model.card,
        assumptions=assumptions,
    )


def dataset_info(dataset: Dataset, skipped: tuple[SkippedImage, ...]) -> DatasetInfo:
    """Return a dataset's identity as it goes into the record, without the skipped images."""
    n_skipped = {name: sum(s.split == name for s in skipped) for name in ("train", "test")}
    return DatasetInfo(
        name=dataset.name,
        source=dataset.source,
        fingerprint=dataset.fingerprint,
        n_train=len(dataset.train) - n_skipped["train"],
        n_test=len(dataset.test) - n_skipped["test"],
        classes=dataset.classes,
        skipped=skipped,
        files=tuple(
            DataFile(name=file.name, md5=file.md5, published=file.published)
            for file in dataset.files
        ),
        unused=with_undecodable(dataset, ((one.split, one.index) for one in skipped)),
    )


def _requested(config: RunConfig) -> dict[str, Any]:
    """Return the configuration as plain values, in which a name stands for a given object."""
    values = {f.name: getattr(config, f.name) for f in fields(config) if f.name != "given"}
    if config.given.names:
        values["given"] = config.given.names
    found: dict[str, Any] = plain_value(values)
    return found


def make_record(
    config: RunConfig,
    created: datetime,
    *,
    command: str,
    model: ModelInfo,
    latency: tuple[LatencyResult, ...],
    **parts: Any,
) -> RunResult:
    """Return the record of a run that began at *created*."""
    build, providers = onnxruntime_facts()
    return RunResult(
        id=new_run_id(created),
        created_at=created.isoformat(timespec="microseconds"),
        tlbench_version=__version__,
        config=RunConfigRecord(
            requested=_requested(config),
            effective={
                "threads": config.threads or available_cpus(),
                "head_threads": BLAS_THREADS,
                "latency_batch_sizes": list(dict.fromkeys(r.batch_size for r in latency)),
            },
            command=command,
        ),
        environment=capture_environment(
            onnxruntime_build=build, providers=providers, loaded=loaded_libraries()
        ),
        model=model,
        latency=latency,
        **parts,
    )
