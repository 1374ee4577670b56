"""The command line: one file a command, each a thin shell over one library function."""

from tlbench.cli.app import main

__all__ = ["main"]
