"""A sweep over a GPU: options, precisions, batches and boundaries of exported files, cell by cell.

``python benchmarks/cuda_sweep.py -o FOLDER FILE.onnx...`` writes a JSON file a cell. A cell that
fails says why and stops no other; a second start does those that are missing. Files in fp16 are
named beside their fp32 ones and held against these by the backbone in their cards. See
docs/results/cuda-sweep.md.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sweep_cells import CELLS

from tlbench import __version__
from tlbench.core.errors import ResultError, TlbenchError
from tlbench.engine import check_provider, onnxruntime_facts
from tlbench.machine import Environment, capture_environment, loaded_libraries
from tlbench.model import OnnxModel
from tlbench.records import plain_value

__all__ = ["Cell", "main", "plan", "sweep", "write_machine"]

BATCHES = (1, 8, 32, 128, 512)
QUICK_BATCHES = (1, 2)
# What a process that died in a cell leaves behind; it is tried once more, and then given up.
ATTEMPTS = 2
# Of these files. 1: the first.
SCHEMA_VERSION = 1
GRAPH = {"enable_cuda_graph": "1"}
NHWC = {"prefer_nhwc": "1"}
SEARCH = "cudnn_conv_algo_search"
# Per precision: the defaults first, whatever they are, so that a short budget has them.
VARIANTS = {
    "fp32": {
        "tf32": {"use_tf32": "1"},
        "no-tf32": {"use_tf32": "0"},
        "tf32-graph": {"use_tf32": "1", **GRAPH},
        "tf32-nhwc": {"use_tf32": "1", **NHWC},
        "tf32-nhwc-graph": {"use_tf32": "1", **NHWC, **GRAPH},
        "tf32-heuristic": {"use_tf32": "1", SEARCH: "HEURISTIC"},
        "tf32-default-search": {"use_tf32": "1", SEARCH: "DEFAULT"},
    },
    "fp16": {
        "default": {},
        "graph": GRAPH,
        "nhwc": NHWC,
        "nhwc-graph": {**NHWC, **GRAPH},
        "heuristic": {SEARCH: "HEURISTIC"},
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One measurement: kind is a name in `sweep_cells.CELLS`; *reference* is the fp32 file."""

    kind: str
    model: str
    reference: str
    backbone: str
    precision: str
    provider: str
    variant: str
    batch_size: int
    quick: bool = False
    costs: bool = False  # of a timing: memory on the device as well, from a fresh process
    compiled: bool = False  # of peers: torch.compile as well, which takes minutes
    options: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """File name without its ending."""
        words = (self.kind, self.backbone, self.precision, self.provider, self.variant)
        return "-".join(words) + f"-b{self.batch_size}"


def plan(
    paths: Sequence[Path], *, provider: str, quick: bool, compiled: bool = False
) -> list[Cell]:
    """Return all cells in the order of their worth: parity, the defaults, peers, the options."""
    models = [(path, OnnxModel(path)) for path in paths]
    found: list[tuple[int, Cell]] = []
    full = {m.card.backbone: p for p, m in models if m.card and m.card.precision == "fp32"}
    for path, model in models:
        backbone = model.card.backbone if model.card else path.stem
        precision = model.card.precision if model.card else "fp32"
        variants = VARIANTS.get(precision, {"default": {}})
        if provider != "cuda":
            variants = {"default": {}}
        for rank, (variant, options) in enumerate(variants.items()):

            def cell(kind: str, batch: int, rank=rank, variant=variant, options=options) -> Cell:
                return Cell(
                    kind=kind,
                    model=str(path),  # noqa: B023 - called within the loop
                    reference=str(full.get(backbone, path)),  # noqa: B023
                    backbone=backbone,  # noqa: B023
                    precision=precision,  # noqa: B023
                    provider=provider,
                    variant=variant,
                    batch_size=batch,
                    quick=quick,
                    costs=kind == "timing" and rank == 0 and not quick,
                    compiled=kind == "peers" and compiled,
                    options=dict(options),
                )

            found.append((0, cell("parity", 2 if quick else 8)))
            searches = SEARCH in options
            for batch in QUICK_BATCHES if quick else BATCHES:
                if not searches or batch in {1, 32}:
                    found.append((1 if rank == 0 else 3, cell("timing", batch)))
                if rank == 0 and batch in {*QUICK_BATCHES, 32, 128}:
                    found.append((2, cell("peers", batch)))
            if rank == 0:
                found.append((2, cell("breakdown", 1)))
    return [cell for _, cell in sorted(found, key=lambda pair: pair[0])]


def sweep(
    cells: Sequence[Cell],
    output: Path,
    *,
    budget_s: float = float("inf"),
    kinds: dict[str, Callable[[Cell], object]] = CELLS,
    say: Callable[[str], object] = print,
) -> int:
    """Measure the cells that *output* lacks until the budget is spent; return how many failed.

    A cell is begun only while the budget lasts, and none is cut short.
    """
    output.mkdir(parents=True, exist_ok=True)
    began, n_failed = time.monotonic(), 0
    for number, cell in enumerate(cells, start=1):
        path = output / f"{cell.name}.json"
        earlier = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        attempt = earlier.get("attempt", 0) + 1
        if "result" in earlier or "error" in earlier:
            continue
        if time.monotonic() - began >= budget_s:
            say(f"the budget of {budget_s:.0f} s is spent; start again for the rest")
            break
        record: dict[str, object] = {
            "schema_version": SCHEMA_VERSION,
            "tlbench_version": __version__,
            "cell": asdict(cell),
            "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "attempt": attempt,
        }
        if attempt > ATTEMPTS:
            record["error"] = f"the process ended within this cell, {ATTEMPTS} times"
        else:
            _write(path, record)
            started = time.monotonic()
            try:
                record["result"] = plain_value(kinds[cell.kind](cell))
            except KeyboardInterrupt:
                path.unlink()
                raise
            except Exception as error:  # noqa: BLE001 - every library here has its own
                record["error"] = f"{type(error).__name__}: {error}"
            record["elapsed_s"] = time.monotonic() - started
        _write(path, record)
        n_failed += "error" in record
        say(f"{number}/{len(cells)} {cell.name}: {record.get('error', 'done')}")
    return n_failed


def _write(path: Path, record: dict[str, object]) -> None:
    temporary = path.with_suffix(".part")
    temporary.write_text(json.dumps(record, indent=1), encoding="utf-8")
    temporary.replace(path)


def write_machine(environment: Environment, output: Path) -> None:
    """Write what the cells are measured on, or make sure that it is still the same.

    Raises
    ------
    ResultError
        If the folder holds cells of another machine, driver or ONNX Runtime.
    """
    path, machine = output / "machine.json", plain_value(environment)
    if path.is_file():
        earlier = json.loads(path.read_text(encoding="utf-8"))["environment"]
        then, now = _identity(earlier), _identity(machine)
        if changed := [
            f"{name} {then[name]}, now {now[name]}" for name in now if then[name] != now[name]
        ]:
            what = "; ".join(changed)
            msg = f"{output} holds cells of another machine ({what}): name another folder."
            raise ResultError(msg)
        return
    _write(
        path,
        {
            "schema_version": SCHEMA_VERSION,
            "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "environment": machine,
        },
    )


def _identity(environment: dict[str, Any]) -> dict[str, object]:
    """Return what must not change within a sweep: figures beside one another would not be alike."""
    libraries = environment["libraries"]
    return {
        "CPU": environment["cpu"],
        "GPU": [f"{gpu['name']}, driver {gpu['driver']}" for gpu in environment["gpus"]],
        "ONNX Runtime": libraries.get("onnxruntime-gpu", libraries.get("onnxruntime")),
        "cuDNN": libraries.get("cudnn"),
    }


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("models", nargs="+", type=Path, help="exported .onnx files")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of JSON files")
    parser.add_argument("--provider", default="cuda")
    parser.add_argument("--budget-s", type=float, default=float("inf"), help="begin no cell later")
    parser.add_argument("--quick", action="store_true", help="tiny batches: does it run at all?")
    parser.add_argument("--compile", action="store_true", help="torch.compile as a peer, too")
    parser.add_argument("--kinds", default=",".join(CELLS), help="of " + ", ".join(CELLS))
    asked = parser.parse_args(words)
    if unknown := set(asked.kinds.split(",")) - set(CELLS):
        parser.error(f"--kinds takes {', '.join(CELLS)}, not {', '.join(sorted(unknown))}")
    try:
        check_provider(asked.provider)
        cells = plan(
            asked.models, provider=asked.provider, quick=asked.quick, compiled=asked.compile
        )
        asked.output.mkdir(parents=True, exist_ok=True)
        build, providers = onnxruntime_facts()
        # The check of the provider has loaded CUDA's libraries, so their versions are known.
        environment = capture_environment(
            onnxruntime_build=build, providers=providers, loaded=loaded_libraries()
        )
        write_machine(environment, asked.output)
    except TlbenchError as error:
        print(error, file=sys.stderr)
        return 2
    cells = [cell for cell in cells if cell.kind in asked.kinds.split(",")]
    n_failed = sweep(cells, asked.output, budget_s=asked.budget_s)
    return 1 if n_failed else 0


if __name__ == "__main__":
    sys.exit(main())
