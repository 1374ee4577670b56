"""Plugins found by name through entry points, each imported only when it is needed."""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar, cast

from tlbench.core.errors import ConfigError, MissingDependencyError, UnknownNameError

T = TypeVar("T")


def unknown_name(kind: str, name: str, known: list[str]) -> UnknownNameError:
    """Return the error for a name that is not *known*, with the most similar name as a hint."""
    folded = {other.casefold(): other for other in reversed(known)}
    wanted = name.casefold()
    close = difflib.get_close_matches(wanted, list(folded), n=1, cutoff=0.5)
    begun = [other for other in map(str.casefold, known) if name and other.startswith(wanted)]
    meant = [*close, *begun]
    hint = f" Did you mean {folded[meant[0]]!r}?" if meant else ""
    return UnknownNameError(f"Unknown {kind} {name!r}.{hint} Known: {', '.join(known) or 'none'}.")


@dataclass(frozen=True, slots=True)
class Registry(Generic[T]):
    """The entries of one entry-point group: built-in entries and those of plugins alike."""

    kind: str  # in the plural: "datasets" reads the group tlbench.datasets

    @property
    def group(self) -> str:
        """Name of the entry-point group."""
        return f"tlbench.{self.kind}"

    def _points(self) -> dict[str, EntryPoint]:
        found: dict[str, EntryPoint] = {}
        for point in entry_points(group=self.group):
            other = found.get(point.name)
            # The same target twice is one package seen through two path entries, not a conflict.
            if other is not None and other.value != point.value:
                raise ConfigError(
                    f"Two plugins offer {point.name!r} in {self.group}: {other.value} and "
                    f"{point.value}. Uninstall one of them."
                )
            found[point.name] = point
        return found

    def names(self) -> list[str]:
        """Return all names, sorted, without importing any entry."""
        return sorted(self._points())

    def load(self, name: str) -> T:
        """Import one entry; raise UnknownNameError, or MissingDependencyError if it is broken."""
        return self._import(self._points(), name)

    def _import(self, points: dict[str, EntryPoint], name: str) -> T:
        if name not in points:
            raise unknown_name(self.kind.removesuffix("s"), name, sorted(points))
        try:
            return cast("T", points[name].load())
        except (ImportError, AttributeError) as error:
            msg = f"{name!r} in {self.group} cannot be imported from {points[name].value}: {error}"
            raise MissingDependencyError(msg) from error

    def items(self) -> Iterator[tuple[str, T]]:
        """Import every entry, in the order of the names."""
        points = self._points()  # once: each look reads the metadata of all distributions
        for name in sorted(points):
            yield name, self._import(points, name)
