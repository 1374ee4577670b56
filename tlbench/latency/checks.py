"""How the outcome of a check is put into a record, the same for all of them."""

from tlbench.core.units import format_percent
from tlbench.records import Check


def decide(  # noqa: PLR0917 - the columns of a table
    name: str,
    failed: bool,  # noqa: FBT001 - the condition, written out at each call
    value: float,
    limit: float,
    text: str,
    passed: str,
) -> Check:
    """Return a check that failed, with *text*, or passed, with the words *passed*."""
    outcome, words = ("fail", text) if failed else ("pass", passed)
    return Check(name=name, outcome=outcome, value=value, limit=limit, text=words)  # type: ignore[arg-type]


def unknown(name: str, why: str) -> Check:
    """Return a check that could not be made: it neither passes nor fails."""
    return Check(name=name, outcome="unknown", text=why)


def more_or_less(fraction: float) -> str:
    """Return a change in words: "5.0 % more"."""
    return f"{format_percent(abs(fraction))} {'more' if fraction > 0 else 'less'}"
