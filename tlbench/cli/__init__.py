"""The command line: each command is a thin shell over one library function."""

from tlbench.cli.app import main

__all__ = ["main"]
