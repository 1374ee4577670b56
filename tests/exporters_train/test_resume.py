"""A training that is killed and resumed is the unbroken one."""

from dataclasses import replace

import numpy as np
import pytest
from toy_training import Killed, KilledAfter, figures, toy

from exporters.train.checkpoint import Checkpoint
from tlbench.core.errors import TrainingError

pytestmark = pytest.mark.tensorflow
N_EPOCHS, N_STEPS = 5, 2


@pytest.fixture
def asked(request_of):
    """Five epochs of two steps, with dropout and augmentation, whose random numbers count."""

    def make(**options):
        return request_of(
            train=toy(32), epochs=N_EPOCHS, augment=("shift", "flip", "rotate"), **options
        )

    return make


def assert_same(resumed, unbroken):
    """Figures and weights are equal bit by bit: on a CPU sums are made in a fixed order."""
    assert figures(resumed.record) == figures(unbroken.record)
    for one, two in zip(resumed.weights, unbroken.weights, strict=True):
        np.testing.assert_array_equal(one, two)


def test_ten_kills_leave_no_trace(unexported, train, asked):
    """Killed after any step and resumed, each epoch has its figures again, and so have weights."""
    unbroken = train("basic-cnn", asked())
    assert len(unbroken.record.epochs) == N_EPOCHS
    for step in range(N_EPOCHS * N_STEPS):
        asked().checkpoint.unlink()
        with pytest.raises(Killed):
            train("basic-cnn", asked(), KilledAfter(step + 1))
        has_begun = asked().checkpoint.is_file()
        assert has_begun == (step >= N_STEPS)
        resumed = train("basic-cnn", asked(resume=has_begun))
        assert_same(resumed, unbroken)
        assert resumed.record.n_resumed == has_begun


def test_batch_normalisation_and_momentum_go_on_as_well(unexported, train, asked):
    """A Wide ResNet has moving means, its optimizer a momentum, and its schedule a position."""
    unbroken = train("wrn-10-1", asked())
    asked().checkpoint.unlink()
    with pytest.raises(Killed):
        train("wrn-10-1", asked(), KilledAfter(2 * N_STEPS + 1))
    assert_same(train("wrn-10-1", asked(resume=True)), unbroken)


def test_a_kill_while_the_checkpoint_is_written_leaves_the_one_before(
    unexported, train, asked, monkeypatch
):
    """A checkpoint is there whole, or not at all."""
    unbroken = train("basic-cnn", asked())
    asked().checkpoint.unlink()
    whole, calls = np.savez, []

    def torn(file, **arrays):
        calls.append(None)
        if len(calls) < 3:
            return whole(file, **arrays)
        file.write(b"PK\x03\x04 and no more")
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(np, "savez", torn)
        with pytest.raises(Killed):
            train("basic-cnn", asked())
    assert len(Checkpoint.read(asked().checkpoint).record.epochs) == 2
    assert_same(train("basic-cnn", asked(resume=True)), unbroken)


def test_the_seed_decides(unexported, train, asked):
    """Another seed has other figures: equal ones would prove nothing."""
    first = train("basic-cnn", asked())
    other = train("basic-cnn", asked(seed=1))
    assert figures(first.record) != figures(other.record)


def test_a_finished_training_is_not_trained_again(unexported, train, asked):
    """Resuming exports once more; so a machine without TensorFlow may train, and another export."""
    finished = train("basic-cnn", asked())
    again = train("basic-cnn", asked(resume=True))
    assert again.record == finished.record


def test_more_epochs_go_on_where_the_schedule_is_constant(unexported, train, asked):
    """Five epochs and then five more are ten."""
    ten = replace(asked().options, epochs=2 * N_EPOCHS)
    unbroken = train("basic-cnn", replace(asked(), options=ten))
    train("basic-cnn", asked())
    longer = train("basic-cnn", replace(asked(resume=True), options=ten))
    assert_same(longer, unbroken)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"seed": 1}, "seed"),
        ({"batch_size": 8}, "batch_size"),
        ({"learning_rate": 1e-3}, "learning_rate"),
        ({"augment": ()}, "augment"),
        ({"schedule": "cosine"}, "schedule"),
        ({"early_stopping": 3}, "early_stopping"),
        ({"epochs": 3}, "epochs"),
        ({"mixed_precision": True}, "mixed_precision"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_other_settings_are_another_training(unexported, train, asked, changed, named):
    """What would make other figures is refused by its name."""
    request = asked()
    with pytest.raises(Killed):
        train("basic-cnn", request, KilledAfter(4 * N_STEPS + 1))
    options = replace(request.options, **changed)
    with pytest.raises(TrainingError, match=rf"another training; the {named} differs"):
        train("basic-cnn", replace(request, options=options, resume=True))


def test_early_stopping_keeps_the_best_epoch(unexported, train, request_of, monkeypatch):
    """It looks at held-out training images, and returns to the weights of the lowest loss."""
    losses = iter([3.0, 1.0, 2.0, 2.0, 0.5])
    monkeypatch.setattr(
        "exporters.train.loop.Training._validate", lambda _: np.array([next(losses), 0.5])
    )
    request = request_of(train=toy(90), epochs=5, early_stopping=2)
    checkpoints = []
    save = Checkpoint.save
    monkeypatch.setattr(
        Checkpoint, "save", lambda self, path: (checkpoints.append(self), save(self, path))
    )
    stopped = train("basic-cnn", request)
    assert len(stopped.record.epochs) == 4
    assert stopped.record.stopped_early
    assert stopped.record.validation == "held out"
    assert stopped.record.n_train == 81
    for best, second in zip(stopped.best, checkpoints[1].weights, strict=True):
        np.testing.assert_array_equal(best, second)
