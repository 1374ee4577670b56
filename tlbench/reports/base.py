"""What a renderer is."""

from typing import Protocol

from tlbench.core.registry import Registry
from tlbench.records import RunResult


class Renderer(Protocol):
    """An entry of the group ``tlbench.renderers``."""

    def __call__(
        self, run: RunResult, *, location: str | None = None, width: int = 80, color: bool = False
    ) -> str:
        """Return the run as text that ends with a line break.

        Parameters
        ----------
        location : str or None
            Where the run is saved, for formats that say so.
        width : int
            Columns, for formats that are laid out.
        color : bool
            Whether terminal escapes may be used.
        """


RENDERERS: Registry[Renderer] = Registry("renderers")
