"""The facts of machine and settings that may explain a difference between runs."""

from collections.abc import Callable, Iterable, Sequence

from tlbench.compare.compared_run import ComparedRun
from tlbench.machine import Environment
from tlbench.records import RunProperty

_UNKNOWN = "unknown"
_DIGITS = 12


def facts_of(sides: Sequence[ComparedRun]) -> tuple[RunProperty, ...]:
    """Return every fact of every run, whether or not they differ in it."""
    facts: list[tuple[str, Callable[[ComparedRun], str]]] = [
        ("CPU", lambda side: side.run.environment.cpu),
        ("processors", lambda side: _processors(side.run.environment)),
        ("GPU", lambda side: _gpus(side.run.environment)),
        ("provider", _providers),
        ("threads", _threads),
        ("settings", _settings),
        ("ONNX Runtime", _onnxruntime),
        ("governor", lambda side: side.run.environment.governor or _UNKNOWN),
        ("mains power", lambda side: _yes_no(side.run.environment.on_ac_power)),
        ("OS", lambda side: side.run.environment.os),
        ("Python", lambda side: side.run.environment.python),
        ("model file", _files),
        ("tlbench", lambda side: side.run.tlbench_version),
    ]
    if any(side.accuracy for side in sides):
        facts.append(("scikit-learn", _scikit_learn))
    return tuple(RunProperty(name=name, values=tuple(map(value, sides))) for name, value in facts)


def _processors(found: Environment) -> str:
    return f"{found.cpus_usable} of {found.cpus_total}"


def _gpus(found: Environment) -> str:
    return _joined(f"{gpu.name}, driver {gpu.driver}" for gpu in found.gpus) or "none"


def _yes_no(value: bool | None) -> str:  # noqa: FBT001 - the value to be written
    return _UNKNOWN if value is None else "yes" if value else "no"


def _onnxruntime(side: ComparedRun) -> str:
    """Return which build it was too: that for GPUs has a package of its own."""
    versions = side.run.environment.libraries
    names = ("onnxruntime-gpu", "onnxruntime")
    return _joined(f"{name} {versions[name]}" for name in names if name in versions) or _UNKNOWN


def _scikit_learn(side: ComparedRun) -> str:
    return side.run.environment.libraries.get("scikit-learn", _UNKNOWN)


def _providers(side: ComparedRun) -> str:
    """Return the providers that were used: of timings, and of features where nothing was timed."""
    used = side.timings or side.run.extraction
    return _joined(result.provider for result in used) or _UNKNOWN


def _threads(side: ComparedRun) -> str:
    threads = [str(result.threads) for result in side.timings]
    return _joined(threads) or str(side.run.config.effective.get("threads", _UNKNOWN))


def _settings(side: ComparedRun) -> str:
    """Return what was in force; files of schema version 1 do not say."""
    pairs = (f"{name}={value}" for one in side.timings for name, value in one.settings.items())
    return _joined(sorted(pairs)) or _UNKNOWN


def _files(side: ComparedRun) -> str:
    labels = side.labels or (None,)
    models = (side.model_of(label) for label in labels)
    return _joined(f"{model.path_name} {model.sha256[:_DIGITS]}" for model in models)


def _joined(values: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(values))
