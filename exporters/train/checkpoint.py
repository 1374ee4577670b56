"""The state of a training after an epoch, in one file that is written whole or not at all."""

import hashlib
import json
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from exporters.common.preprocess import Preprocessing
from exporters.train.learner import Arrays
from tlbench.core.errors import TrainingError, one_line
from tlbench.core.files import atomic_path, storage_errors
from tlbench.model import TrainingRecord, Weights

_VERSION = 1
_META = "checkpoint"
_ADVICE = "Free some space, or choose another place for the ONNX file; checkpoints are beside it."


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """All that a training needs to go on, or to be exported, by whichever framework.

    Random numbers are drawn anew in each epoch, from the seed and the number of the epoch: there is
    no other state of a generator.

    Attributes
    ----------
    network, classes, fingerprint : what is trained, and on what: a resumed training has the same
    architecture : as JSON: the Keras model, or what makes the network of PyTorch
    preprocessing : what happens to the resized pixels
    weights, optimizer : the arrays of model and optimizer; the latter are those of the phase of the
        last epoch
    best : the weights of the epoch with the lowest validation loss; empty without early stopping
    """

    network: str
    dataset: str
    classes: tuple[str, ...]
    fingerprint: str
    origin: str  # of the weights that the training began with
    architecture: str
    preprocessing: Preprocessing
    record: TrainingRecord
    is_finished: bool
    weights: Arrays
    optimizer: Arrays
    best: Arrays = ()

    @property
    def final(self) -> Arrays:
        """The weights of a finished training."""
        return self.best or self.weights

    @property
    def weights_info(self) -> Weights:
        """What the card says of them."""
        digest = hashlib.sha256()
        for array in self.final:
            digest.update(np.ascontiguousarray(array).tobytes())
        n_epochs = len(self.record.epochs)
        return Weights(
            kind="trained",
            sha256=digest.hexdigest(),
            origin=(
                f"{n_epochs} epoch{'s' * (n_epochs != 1)} on {self.dataset}, seed "
                f"{self.record.seed}, from {self.origin}"
            ),
            licence="your own; that of the weights it began with, if any, applies too",
        )

    def save(self, path: Path) -> None:
        """Write the file in one step."""
        import msgspec

        arrays = {name: getattr(self, name) for name in ("weights", "optimizer", "best")}
        fields = {name: getattr(self, name) for name in self.__slots__ if name not in arrays}
        meta = {"version": _VERSION, "n": {name: len(found) for name, found in arrays.items()}}
        meta |= msgspec.to_builtins(fields)
        named = {
            f"{name}-{i}": one for name, found in arrays.items() for i, one in enumerate(found)
        }
        named[_META] = np.frombuffer(json.dumps(meta).encode(), dtype=np.uint8)
        with (
            atomic_path(path, advice=_ADVICE) as temporary,
            storage_errors(path, _ADVICE),
            temporary.open("wb") as file,  # to a path, numpy would add a suffix
        ):
            np.savez(file, allow_pickle=False, **named)

    @classmethod
    def read(cls, path: Path) -> "Checkpoint":
        """Read the file; raise TrainingError if it is missing, damaged or of another version."""
        import msgspec

        if not path.is_file():
            msg = (
                f"There is no checkpoint at {path}, so there is nothing to resume. Leave out "
                "resume=True to begin the training, or correct the path of the ONNX file."
            )
            raise TrainingError(msg)
        try:
            # numpy leaves a file open that it opens and cannot read.
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
                meta = json.loads(file[_META].tobytes())
                _check_version(meta.pop("version"))
                arrays: dict[str, Any] = {
                    name: [file[f"{name}-{i}"] for i in range(n)]
                    for name, n in meta.pop("n").items()
                }
            meta["preprocessing"] = msgspec.convert(meta["preprocessing"], Preprocessing)
            meta["record"] = msgspec.convert(meta["record"], TrainingRecord)
            meta["classes"] = tuple(meta["classes"])
            return cls(**meta, **arrays)
        except (
            *(OSError, EOFError, KeyError, TypeError, ValueError, AttributeError, MemoryError),
            *(zipfile.BadZipFile, zlib.error, msgspec.MsgspecError, NotImplementedError),
        ) as error:
            msg = (
                f"Checkpoint {path} is damaged: {one_line(error) or type(error).__name__}. Copy it "
                "again if it is a copy, or delete it and train from the beginning."
            )
            raise TrainingError(msg) from error

    def check(self, path: Path, wanted: "Checkpoint") -> None:
        """Raise TrainingError unless a training that begins as *wanted* can go on from this one.

        More epochs than before are no difference, unless the schedule depends on their number.
        """
        mine, theirs = dict(self.record.settings), dict(wanted.record.settings)
        if mine["schedule"] == "constant" and theirs["epochs"] >= mine["epochs"]:
            mine["epochs"] = theirs["epochs"]
        pairs: list[tuple[str, Any, Any]] = [
            ("network", self.network, wanted.network),
            ("dataset", self.dataset, wanted.dataset),
            ("number of classes", len(self.classes), len(wanted.classes)),
            ("names of the classes", self.classes, wanted.classes),
            ("training images", self.fingerprint[:12], wanted.fingerprint[:12]),
            ("seed", self.record.seed, wanted.record.seed),
            *((name, mine.get(name), theirs.get(name)) for name in mine | theirs),
            ("shapes of the weights", _shapes(self.weights), _shapes(wanted.weights)),
        ]
        for name, found, asked in pairs:
            if found != asked:
                said = "" if len(f"{found}{asked}") > 200 else f": {found} there, {asked} here"  # noqa: PLR2004
                msg = (
                    f"Checkpoint {path} is of another training; the {name} differs{said}. Repeat "
                    "the settings that it began with, or leave out resume=True to begin anew."
                )
                raise TrainingError(msg)


def _check_version(version: object) -> None:
    if version != _VERSION:
        raise ValueError(f"it has version {version}, and this tlbench reads version {_VERSION}")


def _shapes(arrays: Arrays) -> list[tuple[int, ...]]:
    return [array.shape for array in arrays]


def refuse_unfinished(path: Path) -> None:
    """Raise TrainingError if a training that is not finished would be lost."""
    if not path.is_file():
        return
    try:
        found = Checkpoint.read(path)
    except TrainingError:  # nothing that could go on
        return
    if not found.is_finished:
        done = len(found.record.epochs)
        msg = (
            f"{path} keeps a training of {found.network} that stopped after epoch {done}. Pass "
            "resume=True to go on with it, or delete the file to begin anew."
        )
        raise TrainingError(msg)
