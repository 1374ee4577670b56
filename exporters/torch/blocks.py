"""Find the last block of a network of PyTorch: what fine-tuning changes."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from exporters.torch.extractor import Extractor
from exporters.torch.factory import described
from tlbench.core.errors import ExportError

_CONTAINERS = (torch.nn.Sequential, torch.nn.ModuleList, torch.nn.ModuleDict)
_POOLS = (torch.nn.MaxPool2d, torch.nn.AvgPool2d)
_NORMALISATIONS = (torch.nn.modules.batchnorm._BatchNorm,)  # noqa: SLF001 - of all dimensions
_SEVERAL = 2


def used_parameters(extractor: Extractor, images: torch.Tensor) -> dict[str, torch.nn.Parameter]:
    """Return the parameters that the features depend on, by their names in the network.

    Raises
    ------
    ExportError
        If there are none that a gradient reaches: the network cannot be trained.
    """
    parameters = dict(extractor.network.named_parameters())
    own = [one.requires_grad for one in parameters.values()]
    try:
        with torch.enable_grad():
            for one in parameters.values():
                one.requires_grad_(one.is_floating_point())
            total = extractor(images)[0].sum()
            wanted = {name: one for name, one in parameters.items() if one.requires_grad}
            found: Sequence[Any] = [None] * len(wanted)
            if total.requires_grad:
                found = torch.autograd.grad(total, list(wanted.values()), allow_unused=True)
    except Exception as error:  # whatever foreign code does
        msg = f"{extractor.name} cannot be trained by PyTorch: {described(error)}"
        raise ExportError(msg) from error
    finally:
        for one, requires_grad in zip(parameters.values(), own, strict=True):
            one.requires_grad_(requires_grad)
    used = {n: one for (n, one), has in zip(wanted.items(), found, strict=True) if has is not None}
    if not used:
        msg = (
            f"{extractor.name} cannot be trained: no gradient reaches its weights from its "
            "features. Look for torch.no_grad and detach in its forward."
        )
        raise ExportError(msg)
    return used


def last_block(
    extractor: Extractor, images: torch.Tensor, used: dict[str, torch.nn.Parameter]
) -> list[str]:
    """Return the parameters of the last block, and of what runs after it up to the features.

    A block is a module with several layers inside, of a class that occurs several times at its
    place: a residual block, a block of a transformer. Where the blocks form stages that are of one
    class themselves, it is the last one in the last stage. A network without blocks is trained from
    its last but one pooling on, and one without poolings in its last layer.

    Batch normalisations are left out: their scale and shift belong to means and variances that do
    not change either.
    """
    trace = _Trace(extractor, images, used)
    block = trace.last_block()
    if block is not None:
        return trace.trained_from(trace.first[block])
    pools = sorted(trace.first[m] for m in trace.first if isinstance(m, _POOLS))
    layers = [trace.place(name) for name, one in used.items() if one.ndim > 1]
    for start in [*reversed(pools[:-1]), max(layers, default=0)]:
        names = trace.trained_from(start)
        if any(used[name].ndim > 1 for name in names):
            break
    return names


class _Trace:
    """The order in which the modules of a network run, each by its first call."""

    def __init__(
        self, extractor: Extractor, images: torch.Tensor, used: dict[str, torch.nn.Parameter]
    ) -> None:
        self.network = extractor.network
        self.used = used
        self.first: dict[torch.nn.Module, int] = {}

        def note(module: torch.nn.Module, _inputs: object) -> None:
            self.first.setdefault(module, len(self.first))

        hooks = [module.register_forward_pre_hook(note) for module in self.network.modules()]
        try:
            extractor(images)
        finally:
            for hook in hooks:
                hook.remove()

    def place(self, parameter: str) -> int:
        """Return when the owner of a parameter runs, or what the owner is a part of."""
        path = parameter
        while path:
            path = path.rpartition(".")[0]
            owner = self.network.get_submodule(path)
            if owner in self.first:
                return self.first[owner]
        return 0

    def trained_from(self, start: int) -> list[str]:
        """Return the parameters of what runs from a place on, and not before it, in order."""
        names = {id(one): name for name, one in self.used.items()}
        places: dict[str, int] = {}
        frozen: set[str] = set()
        # One that is shared is listed at each of its owners.
        for path, one in self.network.named_parameters(remove_duplicate=False):
            if (name := names.get(id(one))) is not None:
                places[name] = min(self.place(path), places.get(name, len(self.first)))
                owner = self.network.get_submodule(path.rpartition(".")[0])
                if isinstance(owner, _NORMALISATIONS):
                    frozen.add(name)
        found = [name for name in self.used if places[name] >= start and name not in frozen]
        return sorted(found, key=lambda name: places[name])

    def last_block(self) -> torch.nn.Module | None:
        """Return the last block, None in a network that has none."""
        level = list(self._parts(self.network))
        while level:
            if blocks := self._repeated(level):
                return self._innermost(max(blocks, key=self.first.__getitem__))
            level = [part for module in level for part in self._parts(module)]
        return None

    def _innermost(self, block: torch.nn.Module) -> torch.nn.Module:
        """Return the last block of a stage, or *block* itself, if it has no blocks inside."""
        while True:
            inner = [one for modules in self._series(block) for one in self._repeated(modules)]
            if not inner:
                return block
            block = max(inner, key=self.first.__getitem__)

    def _series(self, module: torch.nn.Module) -> Iterator[list[torch.nn.Module]]:
        """Yield what is in the containers of a module, and its own parts if they are numbered.

        Parts with other names are those of a single block: of its branches, or its perceptrons.
        """
        numbered = []
        for name, child in module.named_children():
            if isinstance(child, _CONTAINERS):
                yield list(self._parts(child))
            elif name[-1].isdecimal():
                numbered.append(child)
        if len(numbered) > _SEVERAL:
            yield numbered

    def _parts(self, module: torch.nn.Module) -> Iterator[torch.nn.Module]:
        """Yield the modules inside *module*, those in containers in the place of the containers."""
        for child in module.children():
            if isinstance(child, _CONTAINERS):
                yield from self._parts(child)
            else:
                yield child

    def _repeated(self, modules: Sequence[torch.nn.Module]) -> list[torch.nn.Module]:
        blocks = [module for module in modules if module in self.first and self._is_block(module)]
        times = Counter(map(type, blocks))
        return [block for block in blocks if times[type(block)] >= _SEVERAL]

    def _is_block(self, module: torch.nn.Module) -> bool:
        used = set(map(id, self.used.values()))
        kernels = [one for one in module.parameters() if id(one) in used and one.ndim > 1]
        return len(kernels) >= _SEVERAL and any(True for _ in module.children())
