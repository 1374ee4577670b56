"""A head on frozen features and trained networks, side by side: accuracy, time, and the answer."""

import dataclasses

import pytest

from tlbench.compare import ComparedRun, compare_runs, open_compared_run
from tlbench.core.errors import ComparisonError
from tlbench.model import TrainedEpoch, TrainingRecord
from tlbench.records import ExtractionResult, LearningCurve, LearningPoint
from tlbench.reports import comparison_document, comparison_page, render_comparison

replace = dataclasses.replace


def epoch(accuracy, *, phase=1, elapsed_s=10.0):
    return TrainedEpoch(
        phase=phase,
        loss=1.0,
        accuracy_fraction=0.5,
        validation_loss=1.0,
        validation_accuracy_fraction=accuracy,
        learning_rate=0.1,
        elapsed_s=elapsed_s,
        images_per_s=100.0,
        peak_rss_bytes=10**9,
    )


def training_of(*epochs):
    return TrainingRecord(
        settings={"epochs": len(epochs), "optimizer": "sgd", "learning_rate": 0.1},
        seed=0,
        n_train=500,
        n_classes=10,
        validation="test",
        n_parameters=1000,
        n_trained_parameters=900,
        software="keras on tensorflow",
        device="cpu",
        epochs=epochs,
    )


def extraction(elapsed_s):
    return ExtractionResult(
        split="train",
        n_images=500,
        n_features=64,
        n_batches=16,
        batch_size=32,
        tail="exact",
        elapsed_s=elapsed_s,
        from_store=True,
        provider="cpu",
    )


@pytest.fixture
def frozen(save, images, saved_run, tmp_path):
    """A saved run of a head on frozen features: 887 of 1,017, in 30 s of extraction and 2 s."""

    def make(run_id="frozen", **changes):
        save(run_id, images, {"backbone.softmax": images.first}, extraction=(extraction(30.0),))
        compared = open_compared_run(run_id, tmp_path / "work" / "runs")
        answer = replace(compared.run.accuracy[0], fit_s=2.0)
        return replace(compared, run=replace(compared.run, accuracy=(answer,), **changes))

    return make


@pytest.fixture
def rival(save, images, saved_run, tmp_path):
    """A saved run of a trained network whose predictions lose and gain so many images."""

    def make(run_id, *epochs, lost=0, gained=0, **changes):
        card = replace(
            saved_run.model.card, backbone=run_id, training=training_of(*(epochs or (epoch(0.1),)))
        )
        second = images.second(lost=lost, gained=gained)
        save(
            run_id,
            images,
            {"backbone.classifier": second},
            model=replace(saved_run.model, card=card, sha256=run_id),
            **changes,
        )
        return open_compared_run(run_id, tmp_path / "work" / "runs")

    return make


def test_the_answers_are_compared_whatever_their_heads(frozen, rival):
    """A network's own classifier has no namesake among heads."""
    found = compare_runs([frozen(), rival("cnn", lost=400)])
    first, second = found.training
    assert (first.head, second.head) == ("softmax", "classifier")
    assert first.paired is None
    assert second.paired.only_first_correct == 400
    assert second.paired.difference_fraction == pytest.approx(-400 / 1017)
    assert [one.what for one in found.unpaired] == []


def test_the_training_time_of_frozen_features_is_extraction_and_fit(frozen, rival):
    """Of the train split, also where the features came from the store."""
    first, second = compare_runs([frozen(), rival("cnn", epoch(0.3), epoch(0.4))]).training
    assert (first.training_s, first.extraction_s, first.fit_s) == (32, 30, 2)
    assert (second.training_s, second.seconds_per_epoch, second.n_epochs) == (20, 10, 2)
    assert second.extraction_s is None


def test_the_time_per_epoch_is_that_of_the_last_phase(frozen, rival):
    """Fine-tuning trains its classifier first; the first epoch of a phase compiles."""
    epochs = (
        epoch(0.1, elapsed_s=5),
        *(epoch(0.2, phase=2, elapsed_s=seconds) for seconds in (90, 40, 41)),
    )
    _, second = compare_runs([frozen(), rival("tuned", *epochs)]).training
    assert second.seconds_per_epoch == 41
    assert second.training_s == 176


def test_the_time_to_the_accuracy_that_all_reached(frozen, rival):
    """The lowest of the final accuracies; the frozen head has it when it is fitted."""
    cnn = rival("cnn", epoch(0.2), epoch(487 / 1017), lost=400)
    wrn = rival("wrn", epoch(0.5), epoch(0.8), lost=100)
    never = rival("never", epoch(0.1), lost=300)
    found = compare_runs([frozen(), cnn, wrn, never]).training
    assert {one.target_fraction for one in found} == {487 / 1017}
    assert [one.seconds_to_target for one in found] == [32, 20, 10, None]


def curve(points):
    return LearningCurve(
        features="backbone",
        head="softmax",
        params={},
        points=tuple(
            LearningPoint(
                images_per_class=size, seed=seed, n_train=10 * size, n_test=1000, n_correct=correct
            )
            for size, corrects in points.items()
            for seed, correct in enumerate(corrects)
        ),
        baseline=False,
    )


@pytest.mark.parametrize(
    ("points", "needed"),
    [
        ({1: (300, 400), 5: (450, 500), 10: (600, 700)}, 10),
        ({1: (300, 400), 5: (480, 500), 10: (600, 700)}, 5),
        ({1: (900,), 5: (100,), 10: (900,)}, 10),  # from there on, and not only there
        ({1: (900,), 10: (100,)}, None),
        ({1: (100,), 10: (200,)}, None),
    ],
)
def test_from_how_many_images_on_frozen_features_are_as_accurate(frozen, rival, points, needed):
    """By the mean over the draws of the learning curve, against 487 of 1,017."""
    runs = [frozen(learning_curves=(curve(points),)), rival("cnn", lost=400)]
    found = compare_runs(runs)
    assert found.training[1].frozen_images_per_class == needed
    sentence = " ".join(render_comparison(found).split())
    said = f"from {needed} images per class on, frozen features are at least as accurate as cnn"
    assert (said in sentence) == (needed is not None)


@pytest.mark.parametrize(
    ("lost", "gained", "said"),
    [
        (400, 0, "Transfer pays: softmax on frozen"),
        (0, 100, "Transfer does not pay: cnn is 9.8 points more accurate"),
        (10, 10, "No clear difference in accuracy between softmax on frozen"),
    ],
)
@pytest.mark.parametrize("frozen_first", [True, False], ids=["frozen first", "rival first"])
def test_one_sentence_says_whether_transfer_pays(frozen, rival, lost, gained, said, frozen_first):
    """By the test on the same images, whichever of the two is the reference."""
    runs = [frozen(), rival("cnn", lost=lost, gained=gained)]
    text = render_comparison(compare_runs(runs if frozen_first else runs[::-1]))
    assert said in " ".join(text.split())


def headline(compared):
    runs = [one.run for one in compared]
    return comparison_page(compare_runs(compared), runs).partition("<h1")[2].partition("</h1>")[0]


def test_the_page_begins_with_the_answer(frozen, rival):
    """And not with the speed of a network that is less accurate."""
    assert "Transfer pays: softmax on frozen" in headline([frozen(), rival("cnn", lost=400)])


def test_the_page_of_many_ways_begins_with_the_most_accurate(frozen, rival):
    found = headline([frozen(), rival("cnn", lost=400), rival("tuned", epoch(0.9), gained=50)])
    assert "Of 3 ways to a classifier, tuned is the most accurate: 92.1 % [90.3, 93.6]" in found
    assert "after 10.0 s of training" in found


def test_two_networks_without_frozen_features_have_no_such_sentence(rival):
    """The table is there all the same."""
    found = compare_runs([rival("cnn", lost=400), rival("wrn", lost=100)])
    text = render_comparison(found)
    assert len(found.training) == 2
    assert "Ways to a classifier" in text
    assert "Transfer" not in text


def test_other_images_are_refused(frozen, rival):
    """An accuracy on other images says nothing about the way."""
    other = rival("cnn", dataset={"fingerprint": "0" * 64})
    with pytest.raises(ComparisonError, match="A was measured on the dataset .*, B on .* 000000"):
        compare_runs([frozen(), other])
    assert compare_runs([frozen("again"), other], allow_unlike=True).training[1].paired is None


def test_runs_without_a_trained_network_are_compared_as_ever(compared, saved_run, vary):
    """No table of ways, and other models are refused."""
    assert compare_runs(compared(saved_run, vary(saved_run))).training == ()
    other = vary(saved_run, model=replace(saved_run.model, sha256="f" * 64, card=None))
    with pytest.raises(ComparisonError, match="not comparable"):
        compare_runs(compared(saved_run, other))


def test_a_rival_without_accuracy_is_no_way_to_a_classifier(frozen, rival):
    """Such as a latency of the trained file."""
    run = rival("cnn").run
    timed = ComparedRun(run=replace(run, accuracy=()))
    with pytest.raises(ComparisonError, match="nothing in common"):
        compare_runs([frozen(), timed])


def test_the_document_has_every_figure(frozen, rival):
    """And rendering does not depend on the width."""
    found = compare_runs([frozen(), rival("cnn", lost=400)])
    assert '"seconds_to_target"' in comparison_document(found)
    for width in (60, 80, 200):
        assert "basic" not in render_comparison(found, width=width)
