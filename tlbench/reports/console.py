"""The report of a run on a terminal: the answer, what it rests on, how to repeat it."""

from collections.abc import Iterator

from tlbench.core.units import format_count, format_seconds
from tlbench.records import RunResult
from tlbench.reports import accuracy, protocols, timing, training
from tlbench.reports.base import Part


def render(
    run: RunResult, *, location: str | None = None, width: int = 80, color: bool = False
) -> str:
    """Lay the run out for a terminal: the answer first."""
    from tlbench.reports.layout import laid_out  # rich: tlbench list needs none of it

    return laid_out(title_parts(run), run_parts(run, location), width=width, color=color)


def title_parts(run: RunResult) -> list[str]:
    """Return what was measured: backbone, weights, precision, provider, data."""
    card = run.model.card
    parts = [card.backbone if card else run.model.path_name]
    if card is not None:
        kinds = {"imagenet": "imagenet weights", "random": "random weights"}
        parts.append(kinds.get(card.weights.kind, f"weights of {card.weights.origin}"))
        parts.append(card.precision)
    threads = run.config.effective["threads"]
    threads = f"{threads} thread{'' if threads == 1 else 's'}"
    parts.append(f"{run.config.requested['provider']}, {threads}")
    if run.dataset is not None:
        n_train, n_test = format_count(run.dataset.n_train), format_count(run.dataset.n_test)
        parts.append(f"{run.dataset.name} ({n_train} train, {n_test} test)")
    return parts


def answer_sentence(run: RunResult) -> str:
    """Return the answer in one sentence: backbone, data, accuracy, time, and against raw pixels."""
    name = run.model.card.backbone if run.model.card else run.model.path_name
    precision = f" ({run.model.card.precision})" if run.model.card else ""
    first = accuracy.first_result(run.accuracy)
    single = next((one for one in run.latency if one.batch_size == 1 and one.samples_s), None)
    phrases = []
    if first is not None and run.dataset is not None:
        figure, interval = accuracy.accuracy_cells(first)
        phrases.append(
            f"classifies {run.dataset.name} with {figure} accuracy {interval} "
            f"({first.head}, n = {format_count(first.n_test)})"
        )
        pixels = [one for one in run.accuracy if one.baseline and one.head == first.head]
        phrases += [accuracy.against_baseline(first, one) for one in pixels[:1]]
    if single is not None:
        verdict = f", {single.verdict}" if single.verdict else ""
        time, threads = format_seconds(single.median_s), single.threads
        where = f"{single.provider.removesuffix('ExecutionProvider')}, {threads} "
        where += f"thread{'' if threads == 1 else 's'}"
        start = "at" if phrases else "takes"
        phrases.append(f"{start} {time} per image ({where}{verdict})")
    if not phrases:
        return f"{name}{precision} was measured; see the tables below."
    return f"{name}{precision} {', '.join(phrases)}."


def run_parts(run: RunResult, location: str | None) -> Iterator[Part]:
    """Yield tables and lines in the order of every laid-out format."""
    if run.reproduction is not None:
        yield protocols.published_table(run.reproduction)
        yield protocols.reproduction_lines(run, run.reproduction)
    yield accuracy.answer_table(run)
    yield accuracy.accuracy_table(run.accuracy)
    yield accuracy.baseline_table(run.accuracy)
    yield {"Answer": accuracy.answer_lines(run.accuracy)}
    yield accuracy.search_table(run.accuracy)
    yield accuracy.metrics_table(run.accuracy)
    yield accuracy.grouped_table(run.accuracy)
    classes = run.dataset.classes if run.dataset else ()
    yield {"Lowest recall": accuracy.lowest_recall(run.accuracy, classes)}
    yield protocols.cross_validation_table(run.cross_validation)
    yield protocols.learning_curve_table(run.learning_curves)
    yield protocols.inner_search_table(run.cross_validation, run.learning_curves)
    yield protocols.drifted_models_table(run.drifts)
    yield protocols.drift_table(run.drifts)
    yield protocols.drifted_accuracy_table(run.drifts)
    yield training.epochs_table(run.training if run.is_training else None)
    yield {"How it was trained": training.training_lines(run.training)}
    yield timing.extraction_table(run.extraction, protocols.drift_letters(run.drifts))
    yield timing.models_table(run.models_under_test)
    yield timing.ratio_table(run)
    yield timing.latency_table(run.latency)
    yield timing.costs_table(run.latency)
    yield timing.samples_table(run.latency)
    if run.breakdown:
        yield timing.breakdown_table(run.breakdown)
    yield {"INVALID": timing.verdict_lines(run.latency)}
    yield {"Unused files": accuracy.unused_lines(run.dataset)}
    warnings = [*run.model.assumptions, *run.warnings, *timing.timing_notes(run.latency)]
    yield {"Warnings": warnings}
    if not run.complete:
        yield {"Incomplete": ["The run was interrupted; this is what it had measured by then."]}
    yield {
        "Saved": [location] if location is not None else [],
        "Repeat": [run.config.command] if run.config.command else [],
    }
