"""Times as rows of text: feature extraction, latency, and what a timing rests on."""

import statistics
from collections.abc import Mapping, Sequence

from tlbench.core.units import (
    format_bytes,
    format_count,
    format_factor,
    format_percent,
    format_seconds,
    group_medians,
    sparkline,
)
from tlbench.records import (
    Breakdown,
    ExtractionResult,
    Interval,
    LatencyRatio,
    LatencyResult,
    ModelUnderTest,
    RunResult,
    ServerLoad,
)
from tlbench.reports.base import Table, letters_of, table

_SHOWN = (0.5, 0.9, 0.99)
# Where nobody could look at these, silence would be taken for a quiet machine.
_DISTURBANCES = {"other load", "gpu clock"}
_BAR_WIDTH = _SPARK_WIDTH = 24


def format_rate(value: float) -> str:
    """Return images per second with at least three digits."""
    return format_count(value) if value >= 1000 else f"{value:.3g}"  # noqa: PLR2004 - three digits


def factor_interval(found: Interval | None) -> str:
    """Return an interval of a ratio: ``[0.983, 1.02]``, or n/a."""
    return f"[{format_factor(found.low)}, {format_factor(found.high)}]" if found else "n/a"


def extraction_table(
    results: Sequence[ExtractionResult], letters: Mapping[str, str] | None = None
) -> Table:
    """Return the passes through the network, decoding included; *letters* stand for labels."""
    letters = letters or {}
    rows = [
        (
            f"{letters.get(one.label or '', '')} {one.split}".strip(),
            format_count(one.n_images),
            format_count(one.n_features),
            format_factor(1000 * one.elapsed_s / one.n_images),
            format_rate(one.images_per_s),
            "from the feature store" if one.from_store else "",
        )
        for one in results
    ]
    columns = "split | >images | >features | >ms/image | >images/s | "
    note = "n is in the column images; one pass each, decoding included: no interval."
    return table("Feature extraction", columns, rows, note)


def _letters(results: Sequence[LatencyResult]) -> dict[str, str]:
    return letters_of(result.label for result in results if result.label is not None)


def _name(result: LatencyResult, letters: Mapping[str, str]) -> str:
    place = " (device)" if result.boundary == "device->device" else ""
    return f"{letters.get(result.label or '', '')} {result.scenario}{place}".strip()


def latency_table(results: Sequence[LatencyResult]) -> Table:
    """Return every timing; times are for one call of the whole batch."""
    letters, rows = _letters(results), []
    for one in results:
        by_fraction = {found.fraction: found.value_s for found in one.percentiles}
        found = (by_fraction[fraction] for fraction in _SHOWN)
        times = ("n/a" if time is None else format_seconds(time) for time in found)
        rate, verdict = format_rate(one.images_per_s), one.verdict or ""
        rows.append((_name(one, letters), str(one.batch_size), *times, rate, verdict))
    columns = "scenario | >batch | >median | >p90 | >p99 | >images/s | verdict"
    note = "n and the interval of the median are in the next table; times are for one whole batch."
    return table("Latency", columns, rows, note)


def costs_table(results: Sequence[LatencyResult]) -> Table:
    """Return what each timing rests on and costs: samples, CPU time of all threads, peak memory."""
    letters, rows = _letters(results), []
    has_memory = any(one.peak_rss_bytes for one in results)
    for one in results:
        memory = [format_bytes(one.peak_rss_bytes) if one.peak_rss_bytes else "-"] * has_memory
        numbers = str(one.batch_size), str(len(one.samples_s)), _interval(one)
        cpu = format_factor(1000 * one.cpu_s_per_image)
        rows.append((_name(one, letters), *numbers, cpu, *memory))
    columns = "scenario | >batch | >samples | >median, 95 % interval | >CPU ms/image"
    note = "n is in the column samples: calls of the whole batch."
    return table("Timing details", columns + " | >peak memory" * has_memory, rows, note)


def samples_table(results: Sequence[LatencyResult]) -> Table:
    """Return the samples of each timing in the order measured, as bars."""
    letters, rows = _letters(results), []
    for one in results:
        if one.samples_s:
            medians = group_medians(one.samples_s, _SPARK_WIDTH)
            ends = map(format_seconds, (min(medians), max(medians)))
            bars = sparkline(medians)
            rows.append((_name(one, letters), str(one.batch_size), bars, *ends))
    note = (
        "n and intervals are in the table above; each bar is the median of neighbouring calls, the "
        "lowest and the highest of which are given."
    )
    columns = "scenario | >batch | calls, in the order measured | >lowest bar | >highest bar"
    return table("Samples", columns, rows, note)


def timing_title(one: LatencyResult, results: Sequence[LatencyResult]) -> str:
    """Return what one of several timings is called: ``single, batch 1``."""
    return f"{_name(one, _letters(results))}, batch {one.batch_size}"


def percentiles_table(results: Sequence[LatencyResult]) -> Table:
    """Return every percentile of every timing, and what those that are missing would need."""
    rows = [
        (
            timing_title(one, results),
            f"p{100 * found.fraction:g}",
            "n/a" if found.value_s is None else format_seconds(found.value_s),
            format_count(found.n_samples),
            format_count(found.n_needed),
        )
        for one in results
        for found in one.percentiles
    ]
    columns = "timing | percentile | >time | >samples | >samples needed"
    return table(
        "Percentiles",
        columns,
        rows,
        "n is in the column samples; the interval of the median is above.",
    )


def cold_start_table(results: Sequence[LatencyResult]) -> Table:
    """Return what the first call costs: in the measured process, and in fresh ones."""
    rows = [
        (timing_title(one, results), step, format_seconds(value), "", "1")
        for one in results
        for step, value in (("create the session", one.create_s), ("first call", one.first_s))
    ]
    for one in results:
        if one.fresh is not None:
            for step, values in (
                ("import, fresh process", one.fresh.import_s),
                ("create the session, fresh process", one.fresh.create_s),
                ("first call, fresh process", one.fresh.first_s),
                ("second call, fresh process", one.fresh.second_s),
            ):
                if values:
                    middle, ends = statistics.median(values), (min(values), max(values))
                    span = " to ".join(map(format_seconds, ends))
                    cells = format_seconds(middle), span, str(len(values))
                    rows.append((timing_title(one, results), step, *cells))
    columns = "timing | step | >median | >range | >processes"
    note = "n is in the column processes; the range is from the smallest to the largest of them."
    return table("Cold start", columns, rows, note)


def checks_table(results: Sequence[LatencyResult]) -> Table:
    """Return every check of the conditions of every timing."""
    rows = [
        (timing_title(one, results), check.name, check.outcome, check.text)
        for one in results
        for check in one.checks
    ]
    return table("Checks", "timing | check | outcome | found", rows)


def _interval(result: LatencyResult) -> str:
    if result.median_interval is None:
        return "n/a"
    ends = result.median_interval.low, result.median_interval.high
    low, high = map(format_seconds, ends)
    return f"{low.removesuffix(' ' + high.rsplit(' ', 1)[1])} to {high}"


def verdict_lines(results: Sequence[LatencyResult]) -> list[str]:
    """Return why each INVALID timing is, and what to do; nothing where all are VALID."""
    letters = _letters(results)
    return [
        f"{_name(result, letters)}, batch {result.batch_size}: {reason}"
        for result in results
        for reason in result.reasons
    ]


def timing_notes(results: Sequence[LatencyResult]) -> list[str]:
    """Return what a reader must know besides: missing percentiles, slow phases, busy waiting."""
    letters = _letters(results)
    return [
        f"{_name(result, letters)}, batch {result.batch_size}: {note}"
        for result in results
        for note in _notes(result)
    ]


def _notes(result: LatencyResult) -> list[str]:
    notes = []
    missing = [p for p in result.percentiles if p.value_s is None and p.fraction in _SHOWN]
    if missing:
        needs = ", ".join(f"p{100 * p.fraction:.0f} needs {p.n_needed}" for p in missing)
        notes.append(f"too few samples ({len(result.samples_s)}): {needs}")
    notes += [check.text for check in result.checks if check.outcome == "note"]
    notes += [
        f"{check.name}: {check.text}"
        for check in result.checks
        if check.outcome == "unknown" and check.name in _DISTURBANCES
    ]
    if result.idle_cpu_s is not None and result.idle_cpu_s > 0.1:  # noqa: PLR2004 - a tenth
        notes.append(
            f"threads used {result.idle_cpu_s:.2f} s of CPU time in the second after the last "
            "call: idle threads spin; turn spinning off to save it"
        )
    if result.server is not None:
        notes.append(_server(result.server))
    return notes


def _server(load: ServerLoad) -> str:
    is_valid = load.over_high <= load.allowed_fraction
    bound = format_seconds(load.latency_bound_s)
    return (
        f"{load.qps:.3g} requests/s {'meets' if is_valid else 'misses'} the latency bound: "
        f"{format_percent(load.over_fraction, 2)} of the requests took longer than {bound} "
        f"(95 % upper limit {format_percent(load.over_high, 2)}, allowed "
        f"{format_percent(load.allowed_fraction)})"
        + (f"; {load.n_unanswered} requests were never answered" if load.n_unanswered else "")
        + ("; this is the highest rate found" if load.is_peak else "")
    )


def models_table(models: Sequence[ModelUnderTest]) -> Table:
    """Return the models of an interleaved comparison; the first is the reference."""
    letters = letters_of(model.label for model in models)
    rows = [(letters[m.label], m.label, m.precision, m.provider, str(m.threads)) for m in models]
    return table("Models under test", " | model | precision | provider | >threads", rows)


def ratio_table(run: RunResult) -> Table:
    """Return the time of each candidate over that of the reference, and what else differs."""
    letters = letters_of(model.label for model in run.models_under_test)

    def row(ratio: LatencyRatio) -> tuple[str, ...]:
        found = ratio.interval
        return (
            " / ".join(letters.get(label, label) for label in (ratio.label, ratio.reference)),
            ratio.scenario,
            str(ratio.batch_size),
            f"{ratio.ratio:.3f}",
            "n/a" if found is None else f"[{found.low:.3f}, {found.high:.3f}]",
            str(ratio.n_blocks),
            ", ".join(ratio.unlike) or "nothing",
        )

    columns = "models | scenario | >batch | >ratio | >95 % interval | >blocks | differs in"
    note = "n is in the column blocks, measured in turn; a ratio has no unit."
    return table("Latency ratio (above 1 is slower than A)", columns, map(row, run.ratios), note)


def breakdown_table(found: Breakdown) -> Table:
    """Return the parts of the way from image to label, their sum, and the whole."""
    rows = []
    for name, part in found.parts.items():
        rows.append((name, format_seconds(part), "#" * round(_BAR_WIDTH * part / found.sum_s)))
        if name == "backbone" and found.preprocess_s is not None:
            rows.append(("  preprocessing alone", format_seconds(found.preprocess_s), ""))
    rows += [
        ("sum", format_seconds(found.sum_s), ""),
        ("end to end", format_seconds(found.end_to_end_s), f"over {found.n_images} images"),
    ]
    note = f"n = {found.n_images} images, one at a time; without intervals; head {found.head}."
    return table("Time per image", "step | >median | ", rows, note)
