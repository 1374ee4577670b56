"""What a run was measured on and with, as rows of text: machine, libraries, model, data."""

from collections.abc import Iterable
from typing import Any

from tlbench.core.units import format_bytes, format_count
from tlbench.records import RunResult
from tlbench.reports.base import Table, table
from tlbench.reports.model import card_rows


def environment_table(run: RunResult) -> Table:
    """Return the machine and the software, a fact in each row."""
    found = run.environment
    quota = "" if found.cpu_quota is None else f", quota {found.cpu_quota:g}"
    rows: list[tuple[str, Any]] = [
        ("processor", f"{found.cpu}, {found.cpus_usable} of {found.cpus_total} usable{quota}"),
        ("memory", format_bytes(found.ram_bytes) if found.ram_bytes else None),
        *(("GPU", _gpu(gpu.name, gpu.driver, gpu.memory_bytes)) for gpu in found.gpus),
        ("operating system", found.os),
        ("Python", found.python),
        ("ONNX Runtime", found.onnxruntime_build),
        ("providers", ", ".join(found.providers)),
        *sorted(found.libraries.items()),
        ("governor", found.governor),
        ("on mains power", {True: "yes", False: "no"}.get(found.on_ac_power)),  # type: ignore[arg-type]  # None as well
        ("commit", found.git_commit),
        ("tlbench", run.tlbench_version),
        ("measured", run.created_at),
        ("run", run.id),
    ]
    return table("Environment", " | ", _known(rows))


def _gpu(name: str, driver: str | None, memory_bytes: int | None) -> str:
    memory = format_bytes(memory_bytes) if memory_bytes else None
    return ", ".join(filter(None, (name, memory, driver and f"driver {driver}")))


def _known(rows: Iterable[tuple[str, Any]]) -> list[tuple[str, str]]:
    return [(name, str(value)) for name, value in rows if value not in {None, ""}]


def model_table(run: RunResult) -> Table:
    """Return the model's file and its card."""
    model = run.model
    rows = [
        ("File", f"{model.path_name}, {format_bytes(model.size_bytes)}"),
        ("SHA-256", model.sha256),
        *(card_rows(model.card) if model.card else [("Card", "none: not exported by tlbench")]),
    ]
    return table("Model card", " | ", rows)


def data_table(run: RunResult) -> Table:
    """Return which images were used."""
    if run.dataset is None:
        return table("Data", " | ", [])
    found = run.dataset
    rows = [
        ("dataset", found.name),
        ("source", found.source),
        ("train images", format_count(found.n_train)),
        ("test images", format_count(found.n_test)),
        ("classes", format_count(len(found.classes))),
        ("fingerprint", found.fingerprint),
        *(("file", f"{file.name}, MD5 {file.md5}") for file in found.files),
    ]
    return table("Data", " | ", rows)


def unused_table(run: RunResult) -> Table:
    """Return the files and images that were left out, by reason."""
    unused = run.dataset.unused if run.dataset else ()
    skipped = run.dataset.skipped if run.dataset and not unused else ()
    rows = [(one.reason, format_count(one.count), ", ".join(one.examples)) for one in unused]
    rows += [(one.reason, "1", f"{one.split} {one.index}") for one in skipped]
    return table("Images and files that were left out", "reason | >number | examples", rows)
