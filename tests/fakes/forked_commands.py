"""Run many commands, each in a process of its own, with standard streams closed, full or unread.

The libraries are imported once, and each process is a fork. A list of cases comes on standard
input: arguments, and what stdin, stdout and stderr are. The list of exit codes goes to stdout.
"""

import gc
import importlib
import json
import os
import sys

from tlbench.cli import main

# Without ONNX Runtime, which makes threads when it is imported: a fork has none of them.
LIBRARIES = (
    "onnx",
    "PIL.Image",
    "scipy.stats",
    "sklearn.linear_model",
    "sklearn.svm",
    "tlbench.cli.app",
)


def connect(number, what):
    """Make of a descriptor what a shell would; else *what* is the name of a file."""
    if what == "closed":
        os.close(number)
        setattr(sys, ("stdin", "stdout", "stderr")[number], None)  # as Python starts then
        setattr(sys, ("__stdin__", "__stdout__", "__stderr__")[number], None)
        return
    if what == "unread":
        reading, opened = os.pipe()
        os.close(reading)
    else:
        name = "/dev/full" if what == "full" else what
        opened = os.open(name, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT, 0o666)
    os.dup2(opened, number)
    os.close(opened)


def run(arguments, streams):
    """Be the command's process from here on."""
    for number, what in enumerate(streams):
        connect(number, what)
    sys.argv = ["tlbench", *arguments]
    main()


def end_of(child):
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    cases = json.load(sys.stdin)
    for library in LIBRARIES:
        importlib.import_module(library)
    gc.freeze()  # memory that a fork does not look through stays shared
    codes = []
    for case in cases:
        if not (child := os.fork()):
            run(*case)
        codes.append(end_of(child))
    print(json.dumps(codes))
