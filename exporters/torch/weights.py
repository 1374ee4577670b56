"""Put the weights of a file into a network, or say why they are another network's."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from exporters.common.state_dict import StateDict, read_state_dict
from tlbench.core.errors import ExportError

# What DataParallel, Lightning and torch.compile put before every name.
_PREFIXES = ("module.", "model.", "_orig_mod.")
_SHOWN = 3  # names of each kind in an error


def load_weights(network: Any, name: str, path: Path) -> str:  # noqa: ANN401 - a torch.nn.Module
    """Load a file of PyTorch or safetensors into *network*, and return its SHA-256.

    The file is read without PyTorch, and runs no code.

    Raises
    ------
    ExportError
        If the file cannot be read, or its tensors are not those of the network.
    """
    if not path.is_file():
        msg = f"No weights file at {path}. Pass the path of a file, or weights='random'."
        raise ExportError(msg)
    import torch

    state, digest = read_state_dict(path)
    own = float_tensors(network)
    state = _without_prefixes(state, own)
    problems = _problems(state, {key: tuple(tensor.shape) for key, tensor in own.items()})
    if problems:
        msg = (
            f"Weights {path} do not fit {name}: {'; '.join(problems)}. They belong to another "
            "network, or to one that was made with other factory_args."
        )
        raise ExportError(msg)
    for key, tensor in own.items():
        tensor.data.copy_(torch.from_numpy(state[key].copy()))
    return digest


def digest_of(network: Any) -> str:  # noqa: ANN401 - a torch.nn.Module
    """Return a SHA-256 of the names and values of a network's tensors."""
    digest = hashlib.sha256()
    for key, tensor in sorted(float_tensors(network).items()):
        digest.update(f"{key}{tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().contiguous().numpy().tobytes())
    return digest.hexdigest()


def float_tensors(network: Any) -> dict[str, Any]:  # noqa: ANN401 - a torch.nn.Module
    """Return the tensors of floats that PyTorch saves of a network, by name."""
    state = network.state_dict()
    return {key: value for key, value in state.items() if value.is_floating_point()}


def _without_prefixes(state: StateDict, own: Mapping[str, Any]) -> StateDict:
    """Return the tensors by the network's own names: a prefix that all share may be a wrapper's."""
    while state and not own.keys() & state.keys():
        prefix = next((p for p in _PREFIXES if all(key.startswith(p) for key in state)), None)
        if prefix is None:
            break
        state = {key.removeprefix(prefix): tensor for key, tensor in state.items()}
    return state


def _problems(state: StateDict, shapes: Mapping[str, tuple[int, ...]]) -> list[str]:
    missing = [key for key in shapes if key not in state]
    unexpected = [key for key in state if key not in shapes]
    others = [
        f"{key}, {state[key].shape} instead of {shape}"
        for key, shape in shapes.items()
        if key in state and state[key].shape != shape
    ]
    kinds = {"missing": missing, "unexpected": unexpected, "of another shape": others}
    return [_some(keys, kind) for kind, keys in kinds.items() if keys]


def _some(keys: list[str], kind: str) -> str:
    more = ", ..." if len(keys) > _SHOWN else ""
    tensors = "1 tensor is" if len(keys) == 1 else f"{len(keys)} tensors are"
    return f"{tensors} {kind} ({', '.join(keys[:_SHOWN])}{more})"
