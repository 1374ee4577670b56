"""The run itself: exactly the JSON of ``run.json``."""

from tlbench.records import RunResult, encode_run


def render(
    run: RunResult, *, location: str | None = None, width: int = 80, color: bool = False
) -> str:
    """Return the run as JSON, the same as its ``run.json``."""
    del location, width, color
    return encode_run(run).decode()
