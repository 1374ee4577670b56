"""The commands of the application, and what happens to errors."""

import io
import sys
from typing import Annotated, Any

import typer

from tlbench import __version__
from tlbench.cli.classify import fuse, predict
from tlbench.cli.describe import doctor, inspect, list_entries
from tlbench.cli.export import export, extract
from tlbench.cli.gating import baseline, gate
from tlbench.cli.measure import drift, evaluate, latency, run
from tlbench.cli.names import app, speak_of_options
from tlbench.cli.options import flatten_options
from tlbench.cli.reproduce import reproduce
from tlbench.cli.saved_runs import compare, report
from tlbench.core.errors import TlbenchError, one_line, printable

# typer brings its own click, in which this class has no public name.
_USAGE_ERROR: Any = typer.BadParameter.__bases__[0]

_COMMANDS = (
    run,
    evaluate,
    latency,
    drift,
    export,
    inspect,
    extract,
    report,
    compare,
    gate,
    reproduce,
    fuse,
    predict,
    doctor,
)
for _command in _COMMANDS:
    app.command()(flatten_options(_command))
app.add_typer(baseline, name="baseline")
app.command("list")(list_entries)


def _print_version(*, wanted: bool) -> None:
    if wanted:
        typer.echo(f"tlbench {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    del version


def main() -> None:
    r"""Run the command line; an error becomes one line on stderr and exit code 2.

    Text that an output cannot encode, such as a file name that is not UTF-8, is escaped:
    ``\udce9``. A mistake of ours shows its traceback; exit code 1 is kept for verdicts.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = app(prog_name="tlbench", standalone_mode=False)
    except TlbenchError as error:
        code = _fail(speak_of_options(one_line(error)))
    except _USAGE_ERROR as error:
        text, command = error.format_message(), error.ctx.command_path if error.ctx else "tlbench"
        if text.startswith("Usage:"):  # the help, which a command without arguments shows
            code = _fail(text, plain=True)
        else:
            code = _fail(f"{' '.join(text.split()).rstrip('.')}. See {command} --help.")
    except Exception:  # noqa: BLE001 - it is shown
        import traceback

        code = _fail(traceback.format_exc(), plain=True)
    sys.exit(code)


def _fail(text: str, *, plain: bool = False) -> int:
    typer.echo(text if plain else printable(f"tlbench: error: {text}"), err=True)
    return 2
