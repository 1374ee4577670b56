"""A training as rows of text."""

from dataclasses import replace

import pytest

from tlbench.model import TrainedEpoch, TrainingRecord
from tlbench.records import OWN_CLASSIFIER
from tlbench.reports import RENDERERS


def epoch(number, phase=1):
    return TrainedEpoch(
        phase=phase,
        loss=2 / number,
        accuracy_fraction=0.5,
        validation_loss=1.0,
        validation_accuracy_fraction=0.25,
        learning_rate=0.1,
        elapsed_s=30.0,
        images_per_s=1234.0,
        peak_rss_bytes=2 * 10**9,
    )


@pytest.fixture
def report(golden_run):
    """The console report of the golden run, as if this training had made its model."""

    def make(*epochs, **changes):
        training = TrainingRecord(
            settings={"epochs": len(epochs), "learning_rate": 0.1, "early_stopping": None},
            seed=0,
            n_train=500,
            n_classes=10,
            validation="test",
            n_parameters=2000,
            n_trained_parameters=1000,
            software="keras on tensorflow",
            device="cpu",
            epochs=epochs,
        )
        card = replace(golden_run.model.card, training=replace(training, **changes))
        own = replace(golden_run.accuracy[0], head=OWN_CLASSIFIER)
        run = replace(
            golden_run, model=replace(golden_run.model, card=card), accuracy=(own,), warnings=()
        )
        return RENDERERS.load("console")(run, width=200)

    return make


def rows_of(text):
    """Return the first figure of each row of the table."""
    lines = text.partition("  Training\n")[2].split("\n\n")[0].splitlines()
    return [int(line.split()[0]) for line in lines if line.split()[0].isdecimal()]


def test_every_epoch_of_a_short_training(report):
    """With its loss, its accuracies, its time and its speed."""
    text = report(*map(epoch, range(1, 6)))
    assert rows_of(text) == [1, 2, 3, 4, 5]
    for figure in ("0.400", "50.0 %", "25.0 %", "30.0 s", "1,234"):
        assert figure in text


def test_a_dozen_of_many_epochs(report):
    """From the first to the last, evenly."""
    rows = rows_of(report(*map(epoch, range(1, 101))))
    assert rows == [1, 10, 19, 28, 37, 46, 55, 64, 73, 82, 91, 100]


def test_phases_are_told_apart(report):
    """Of a fine-tuned network; another has no such column."""
    text = report(epoch(1), epoch(2, phase=2), trained_layers=("conv5_1", "conv5_3"))
    assert "1 + 1 epochs in 60.0 s on cpu" in text
    assert "1,000 of 2,000 parameters, from conv5_1 to conv5_3" in text
    assert "phase" in text
    assert "phase" not in report(epoch(1))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"n_resumed": 2}, "Resumed 2 times from a checkpoint."),
        ({"n_resumed": 1}, "Resumed once from a checkpoint."),
        ({"stopped_early": True}, "Stopped early; the weights are those of the epoch with"),
        ({"validation": "held out"}, "Validation: a tenth of the train images, held out."),
    ],
)
def test_what_was_special_is_said(report, changes, said):
    """And nothing of it where it was not."""
    assert said in report(epoch(1), **changes)
    assert said not in report(epoch(1))


def test_settings_that_are_not_used_are_left_out(report):
    """Such as early stopping."""
    text = report(epoch(1))
    assert "Settings: epochs=1, learning_rate=0.1" in text
    assert "early_stopping" not in text


def test_a_run_without_a_training_has_no_such_part(golden_run):
    """As most runs."""
    text = RENDERERS.load("console")(golden_run, width=100)
    assert "How it was trained" not in text
