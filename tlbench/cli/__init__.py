"""The command line: each command is a thin shell over one library function."""

from tlbench.cli.process import main

__all__ = ["main"]
