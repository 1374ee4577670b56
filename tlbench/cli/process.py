"""The process around a command: its streams, what ends it, and the code that it exits with."""

import _thread
import atexit
import errno
import io
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from tlbench.core.errors import StorageError, TlbenchError, one_line

ERROR = 2
INTERRUPTED = 130  # 128 + SIGINT, as shells count


def main() -> None:
    """Run the command line, and exit with 1 for a verdict only.

    Whatever else ends a command is one line on stderr and exit code 2, or 130 after Ctrl-C; with
    ``TLBENCH_DEBUG=1`` its traceback comes first. This holds for what no library should do, such as
    exiting, and for standard streams that are closed or full.
    """
    code, interrupt = INTERRUPTED, _Interrupt()
    with suppress(KeyboardInterrupt):  # one that comes while another error is told
        try:
            interrupt.expect()
            _open_streams()
            code = _run_command()
            sys.stdout.flush()  # Python would do it later, and make an error of it exit code 120
        except BaseException as error:  # noqa: BLE001 - 1 would mean that a gate failed
            code = _failed(error)
    interrupt.ends_process = True
    sys.exit(code)


class _Interrupt:
    """What Ctrl-C does: it ends the command; a second time, or after that, the process at once."""

    def __init__(self) -> None:
        self.ends_process = False

    def __call__(self, *_: object) -> None:
        if self.ends_process:
            os._exit(INTERRUPTED)
        self.ends_process = True
        raise KeyboardInterrupt

    def expect(self) -> None:
        """Handle the signal, unless it is ignored, as for what a shell runs in the background."""
        if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
            return
        with suppress(ValueError):  # not in the main thread
            signal.signal(signal.SIGINT, self)
            # The last part of Python's end would restore what the system does: another exit code.
            atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)
            sys.unraisablehook = partial(self._ignored, sys.unraisablehook)

    def _ignored(
        self,
        report: Callable[["sys.UnraisableHookArgs"], object],
        error: "sys.UnraisableHookArgs",
    ) -> None:
        """Report an error that Python ignores, as it does in ``__del__``, but repeat Ctrl-C."""
        if issubclass(error.exc_type, KeyboardInterrupt):
            _thread.start_new_thread(self._repeat, ())
        else:
            report(error)

    def _repeat(self) -> None:
        time.sleep(0.01)  # until the main thread has left the code whose errors are ignored
        self.ends_process = False
        _thread.interrupt_main()


def _run_command() -> int:
    """Run the command that the arguments name, and return its exit code."""
    # Here, so that a library that cannot be imported is an error like any other.
    import typer

    from tlbench.cli.names import whole_command

    # typer brings its own click, in which this class has no public name.
    usage_error: Any = typer.BadParameter.__bases__[0]
    # Not `app()`, which makes its own exit codes of errors: 1 of a pipe that is closed.
    command = whole_command()
    try:
        with command.make_context("tlbench", sys.argv[1:]) as context:
            command.invoke(context)
    except typer.Exit as stop:
        return stop.exit_code
    except usage_error as error:
        text, path = error.format_message(), error.ctx.command_path if error.ctx else "tlbench"
        if text.startswith("Usage:"):  # the help, which a command without arguments shows
            _tell(text)
        else:
            _tell(f"tlbench: error: {' '.join(text.split()).rstrip('.')}. See {path} --help.")
        return ERROR
    return 0


def _failed(error: BaseException) -> int:
    """Say what went wrong, as far as that can be said, and return the exit code."""
    if isinstance(error, KeyboardInterrupt):
        _tell("tlbench: interrupted.")
        return INTERRUPTED
    if isinstance(error, _ReaderGoneError):
        return ERROR  # such as head, which has what it wants
    if os.environ.get("TLBENCH_DEBUG", "0") not in {"", "0"}:
        with suppress(BaseException):
            import traceback

            _tell("".join(traceback.format_exception(error)).rstrip())
    try:
        text = _explained(error)
    except BaseException:  # noqa: BLE001 - no memory is left, or the error has no text
        text = type(error).__name__
    _tell(f"tlbench: error: {text}")
    return ERROR


def _explained(error: BaseException) -> str:
    if isinstance(error, TlbenchError):
        from tlbench.cli.names import speak_of_options

        return speak_of_options(one_line(error))
    if isinstance(error, MemoryError):
        said = f"Out of memory. {one_line(error)}".strip().rstrip(".")
        return f"{said}. Use fewer images or smaller batches, or close other programs."
    found = f"{type(error).__name__}: {one_line(error)}".removesuffix(": ").rstrip(".")
    return f"Unexpected {found}. Set TLBENCH_DEBUG=1 to see where."


def _tell(text: str) -> None:
    with suppress(BaseException):  # the exit code says the rest
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


class _ReaderGoneError(BrokenPipeError):
    """Nobody reads the pipe that is standard output."""


class _Results(io.FileIO):
    """Standard output: a result that cannot be written is an error that says so."""

    def write(self, data: Any, /) -> int:  # noqa: ANN401 - any buffer
        try:
            return super().write(data)
        except OSError as error:
            # What is left in buffers goes nowhere, or it would be an error again at the end.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            if isinstance(error, BrokenPipeError):
                raise _ReaderGoneError from error
            reason = "it is closed" if error.errno == errno.EBADF else error.strerror
            raise StorageError(f"Standard output cannot be written: {reason}.") from error


class _Messages(io.FileIO):
    """Standard error: a message that cannot be written changes no result."""

    def write(self, data: Any, /) -> int:  # noqa: ANN401 - any buffer
        try:
            return super().write(data)
        except OSError:
            return len(data)


def _open_streams() -> None:
    r"""Make the standard streams bear what a user's files and shell may do to them.

    Text that an output cannot encode, such as a file name that is not UTF-8, is escaped:
    ``\udce9``. A name like that on standard input stands for its bytes, as it does in arguments.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # closed: the next file that is opened would get its number
            os.set_inheritable(os.open(os.devnull, os.O_RDONLY), True)  # noqa: FBT003
    if sys.stdin is None:
        sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)))
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")
    sys.stdout = _escaping(sys.stdout, sys.__stdout__, _Results, 1)
    sys.stderr = _escaping(sys.stderr, sys.__stderr__, _Messages, 2)


def _escaping(stream: Any, standard: Any, kind: type[io.FileIO], number: int) -> Any:  # noqa: ANN401 - any stream
    """Return an output that escapes: one of *kind* for the process's own, which None is if closed.

    What Python code has put in the place of the process's own stays.
    """
    if stream is standard:
        return io.TextIOWrapper(
            io.BufferedWriter(kind(number, "w", closefd=False)),
            encoding=stream and stream.encoding,
            errors="backslashreplace",
            line_buffering=True,
        )
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
    return stream
