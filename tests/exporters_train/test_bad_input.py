"""What cannot be trained, or gone on with, is refused with the reason."""

import zipfile
from dataclasses import replace

import numpy as np
import pytest
from toy_training import Killed, KilledAfter, toy

from exporters.train.checkpoint import Checkpoint
from tlbench.core.errors import (
    ConfigError,
    DataError,
    TlbenchError,
    TrainingError,
    UnknownNameError,
)
from tlbench.model import LabelledImages, TrainingOptions, find_network

tensorflow = pytest.mark.tensorflow


@pytest.fixture
def interrupted(unexported, train, request_of):
    """The request of a training that was killed in its second epoch."""
    request = request_of()
    with pytest.raises(Killed):
        train("basic-cnn", request, KilledAfter(4))
    return replace(request, resume=True)


def damage_of(content):
    middle = len(content) // 2
    flipped = bytearray(content)
    flipped[middle] ^= 0xFF
    return {
        "empty": b"",
        "one byte": content[:1],
        "half": content[:middle],
        "all but the last byte": content[:-1],
        "a flipped byte": bytes(flipped),
        "not an archive": b"epoch 3 of 5",
        "zeros": bytes(len(content)),
    }


@tensorflow
def test_a_damaged_checkpoint_is_named(interrupted, train):
    """Cut anywhere, changed, or of another kind: what it is, and what to do."""
    path = interrupted.checkpoint
    for content in damage_of(path.read_bytes()).values():
        path.write_bytes(content)
        with pytest.raises(TrainingError, match=r"is damaged: .*delete it and train from"):
            train("basic-cnn", interrupted)
        assert path.read_bytes() == content


@pytest.mark.parametrize("members", [{}, {"checkpoint.npy": b"{}"}, {"other.txt": b"text"}])
def test_another_archive_is_no_checkpoint(tmp_path, members):
    """An ONNX file or a run's predictions are archives or files, too."""
    path = tmp_path / "other.checkpoint"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(TrainingError, match="is damaged"):
        Checkpoint.read(path)


@pytest.mark.parametrize("content", ["null", "[]", '{"version": 2}', '{"version": 1}', "{"])
def test_an_archive_of_other_content_is_no_checkpoint(tmp_path, content):
    """JSON of any other shape, or of a later version."""
    path = tmp_path / "other.checkpoint"
    with path.open("wb") as file:
        np.savez(file, checkpoint=np.frombuffer(content.encode(), dtype=np.uint8))
    with pytest.raises(TrainingError, match="is damaged"):
        Checkpoint.read(path)


@tensorflow
def test_there_is_nothing_to_resume(unexported, train, request_of):
    """Without a checkpoint, resume would silently begin anew."""
    with pytest.raises(TrainingError, match="no checkpoint at .*toy.checkpoint"):
        train("basic-cnn", request_of(resume=True))


@tensorflow
@pytest.mark.parametrize("name", ["wrn-10-1", "wrn-16-1"])
def test_another_network_has_another_checkpoint(interrupted, train, name):
    """The weights of one do not fit the other."""
    with pytest.raises(TrainingError, match=f"the network differs: basic-cnn there, {name} here"):
        train(name, interrupted)


@tensorflow
def test_other_images_are_another_training(interrupted, train):
    """The figures would be of a mixture."""
    with pytest.raises(TrainingError, match="the training images differs"):
        train("basic-cnn", replace(interrupted, fingerprint="0" * 64))
    with pytest.raises(TrainingError, match="the number of classes differs"):
        train("basic-cnn", replace(interrupted, classes=("a", "b", "c", "d")))


@tensorflow
def test_an_unfinished_training_is_not_overwritten(interrupted, train):
    """Hours of work would be lost for a forgotten option."""
    content = interrupted.checkpoint.read_bytes()
    with pytest.raises(TrainingError, match=r"stopped after epoch 1\. Pass resume=True"):
        train("basic-cnn", replace(interrupted, resume=False))
    assert interrupted.checkpoint.read_bytes() == content


@tensorflow
def test_a_loss_that_is_no_number_stops_the_training(unexported, train, request_of, monkeypatch):
    """The step is named, and the checkpoint of the epoch before is as it was."""
    rates = iter([0.01, 0.01, 0.01, 1e30, 1e30, 1e30])
    monkeypatch.setattr("exporters.train.loop.Phase.rate", lambda *_: next(rates))
    request = request_of(optimizer="sgd", epochs=3)
    with pytest.raises(TrainingError, match=r"The loss is (nan|inf) at step 2 of 3 of epoch 2"):
        train("basic-cnn", request)
    kept = Checkpoint.read(request.checkpoint)
    assert len(kept.record.epochs) == 1
    assert all(np.isfinite(array).all() for array in kept.weights)


@tensorflow
def test_weights_that_the_last_step_ruined_are_not_kept(unexported, train, request_of, monkeypatch):
    """The loss of a step is computed before it: only the validation sees what the last one did."""
    rates = iter([0.01, 0.01, 1e30])
    monkeypatch.setattr("exporters.train.loop.Phase.rate", lambda *_: next(rates))
    request = request_of(optimizer="sgd")
    with pytest.raises(TrainingError, match=r"after the last step of epoch 1.*no checkpoint"):
        train("basic-cnn", request)
    assert not request.checkpoint.exists()


def test_fewer_images_than_a_batch(train, request_of):
    """A batch cannot be filled."""
    with pytest.raises(ConfigError, match="batch_size=32 is more than the 20 training images"):
        train("basic-cnn", request_of(train=toy(20), batch_size=32))


def test_one_class(train, request_of):
    """There is nothing to tell apart."""
    images = toy(32)
    of_one = LabelledImages(images=images.images, labels=np.zeros(32, np.int64))
    with pytest.raises(DataError, match="All 32 training images are of one class"):
        train("basic-cnn", request_of(train=of_one))


@pytest.mark.parametrize(
    ("name", "size", "least"),
    [("basic-cnn", 9, 10), ("wrn-10-1", 3, 4), ("finetune:mobilenetv2", 31, 32)],
)
def test_too_small_an_input(train, request_of, name, size, least):
    """Pooling would leave nothing of the image."""
    with pytest.raises(ConfigError, match=f"input_size={size} is too small .*{least} pixels"):
        train(name, request_of(input_size=size))


@pytest.mark.parametrize(
    ("name", "weights", "said"),
    [
        ("basic-cnn", "resnet50.h5", "trained from scratch"),
        ("finetune:mobilenetv2", "random", "leaves nothing to fine-tune"),
        ("finetune:mobilenetv2", "nowhere.weights.h5", "does not exist"),
    ],
)
def test_weights_that_cannot_be_used(train, request_of, name, weights, said):
    """A network from scratch has none, and fine-tuning needs trained ones."""
    with pytest.raises(TlbenchError, match=said):
        train(name, request_of(input_size=32, weights=weights))


def test_early_stopping_needs_images_to_hold_out(train, request_of):
    """Of nine images of each class none is held out."""
    with pytest.raises(ConfigError, match="no class has so many"):
        train("basic-cnn", request_of(train=toy(27), early_stopping=1))


@pytest.mark.parametrize("name", ["wrn-28", "wrn-27-8", "wrn:8-1", "wrn:x-1", "wrn:28-0"])
def test_a_wide_resnet_of_no_possible_depth(name):
    """Depths go in steps of six from ten on."""
    with pytest.raises((ConfigError, UnknownNameError)):
        find_network(name)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("basic-cnn:4", "takes no argument"),
        ("finetune:resnet5", "Unknown backbone 'resnet5'"),
        ("finetune:", "Unknown backbone ''"),
        ("finetune:efficientnet-lite0", "cannot be fine-tuned"),
        ("basic-cmn", "Did you mean 'basic-cnn'"),
        ("", "Unknown network ''"),
    ],
)
def test_an_unknown_network(name, said):
    """Names are resolved before any work begins."""
    with pytest.raises(TlbenchError, match=said):
        find_network(name)


@pytest.mark.parametrize(
    "options",
    [
        {"epochs": 0},
        {"batch_size": -1},
        {"input_size": 0},
        {"early_stopping": 0},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"learning_rate": float("inf")},
        {"optimizer": "lion"},
        {"schedule": "linear"},
        {"augment": ("flip", "zoom")},
        {"augment": ("flip", "flip")},
    ],
    ids=str,
)
def test_options_without_sense(options):
    """The parameter is named."""
    (name,) = options
    with pytest.raises((ConfigError, UnknownNameError), match=name[:6]):  # augment, augmentation
        TrainingOptions(**options)
