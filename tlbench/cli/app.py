"""The application: its commands, and what becomes of errors."""

import io
import sys
from typing import Annotated

import typer

from tlbench import __version__
from tlbench.cli.baseline import baseline
from tlbench.cli.compare import compare
from tlbench.cli.doctor import doctor
from tlbench.cli.drift import drift
from tlbench.cli.evaluate import evaluate
from tlbench.cli.export import export
from tlbench.cli.extract import extract
from tlbench.cli.fuse import fuse
from tlbench.cli.gate import gate
from tlbench.cli.groups import flatten_options
from tlbench.cli.inspect import inspect
from tlbench.cli.latency import latency
from tlbench.cli.listing import list_entries
from tlbench.cli.names import speak_of_options
from tlbench.cli.predict import predict
from tlbench.cli.report import report
from tlbench.cli.reproduce import reproduce
from tlbench.cli.run import run
from tlbench.core.errors import TlbenchError, one_line

app = typer.Typer(
    name="tlbench",
    help="Measure how fast and how accurate a frozen, pretrained backbone is on your images, on "
    "any device that ONNX Runtime reaches.",
    epilog="Start with: tlbench run. Exit codes: 0 well, 1 a gate failed or, with --strict, a "
    "timing is INVALID, 2 a user or environment error, 130 after Ctrl-C.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: half the start-up time, and one line for a wrong option
    context_settings={"help_option_names": ["-h", "--help"]},
)
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
    r"""Run the command line; a TlbenchError becomes one line on stderr and exit code 2.

    What an output cannot encode, such as a name of a file that is no UTF-8, is ``\udce9`` there.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        app(prog_name="tlbench")
    except TlbenchError as error:
        typer.echo(f"tlbench: error: {speak_of_options(one_line(error))}", err=True)
        sys.exit(2)
