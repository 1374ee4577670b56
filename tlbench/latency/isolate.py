"""Run a piece of work in a fresh process and wait for its JSON answer."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from tlbench.core.errors import MeasurementError

# A module of tlbench would load a third of what numpy imports, before the time begins.
_PROGRAM = """
import time
began = time.perf_counter()
{imports}
import_s = time.perf_counter() - began
from {module} import main
main(import_s)
"""


def run_isolated(
    module: str, request: Mapping[str, Any], *, timeout_s: float, libraries: Sequence[str] = ()
) -> dict[str, Any]:
    """Return what ``main(import_s)`` of *module* answers to *request*, or raise MeasurementError.

    It reads a JSON object from standard input and writes one as the last line of standard output.
    *import_s* are the seconds to import *libraries*, before which only Python itself was loaded.
    """
    imports = "\n".join(f"import {library}" for library in libraries)
    # The parent waits in the operating system: a polling loop would load the machine.
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and module
            # -P: a psutil.py in the working folder is not the library.
            [sys.executable, "-P", "-c", _PROGRAM.format(imports=imports, module=module)],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        msg = f"A fresh process ({module}) did not answer within {timeout_s:.0f} s."
        raise MeasurementError(msg) from error
    if done.returncode:
        reason = " ".join(done.stderr.split()[-40:]) or "no message"
        msg = f"A fresh process ({module}) ended with exit code {done.returncode}: {reason}"
        raise MeasurementError(msg)
    lines = done.stdout.splitlines()
    try:
        answer = json.loads(lines[-1] if lines else "")
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        found = repr(lines[-1][:80]) if lines else "nothing"
        msg = f"A fresh process ({module}) gave no JSON answer: its output ends with {found}."
        raise MeasurementError(msg)
    return answer
