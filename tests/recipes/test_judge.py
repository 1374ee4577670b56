"""The verdict on a published figure, and its reasons."""

from dataclasses import replace

import pytest
from msgspec.structs import replace as changed

from tlbench.recipes import Export, Figure, compare_with_published
from tlbench.records import DataFile


def verdicts(reproduction):
    return [figure.verdict for figure in reproduction.figures]


@pytest.fixture
def row(recipe):
    return recipe.rows[0]


@pytest.mark.parametrize(
    ("n_correct", "verdict"),
    [
        # Wilson's interval of 792 of 899 is [0.8582, 0.9003], of 790 [0.8558, 0.8982]
        (792, "reproduced"),
        (790, "not reproduced"),
        (809, "reproduced"),
        (830, "not reproduced"),  # higher than published is no reproduction either
    ],
)
def test_a_figure_inside_the_interval_is_reproduced(recipe, row, make_run, n_correct, verdict):
    """Data, backbone and protocol are the experiment's: the interval decides."""
    found = compare_with_published(recipe, row, make_run(n_correct=n_correct)).figures[0]
    assert found.verdict == verdict
    assert found.measured_fraction == n_correct / 899
    assert found.interval.low < n_correct / 899 < found.interval.high
    assert f"{100 * (n_correct / 899 - 0.9):+.2f} points" in found.reasons[0]


def test_a_rounded_figure_is_all_that_is_rounded_to_it(recipe, row, make_run):
    """0.95 to a hundredth may be 0.945: half a step beside the interval is inside."""
    # Wilson's interval of 834 of 899 ends at 0.9429: 0.95 is outside, 0.945 is not within half
    high = compare_with_published(recipe, row, make_run(n_correct=838)).figures[1]
    exact = changed(row.figures[1], rounding_fraction=0.0001)
    narrow = changed(row, figures=(exact,))
    assert high.verdict == "reproduced"
    assert high.interval.high < 0.95
    assert verdicts(compare_with_published(recipe, narrow, make_run(n_correct=838))) == [
        "not reproduced"
    ]


@pytest.mark.parametrize(
    ("fractions", "verdict"),
    [
        ((0.89, 0.90, 0.91), "reproduced"),
        ((0.895, 0.905, 0.915), "reproduced"),
        ((0.93, 0.94, 0.95), "not reproduced"),
    ],
)
def test_folds_are_compared_by_their_means_and_spreads(recipe, row, make_run, fractions, verdict):
    """Four points are more than the spread of three folds allows, half a point is not."""
    found = compare_with_published(recipe, row, make_run(fold_fractions=fractions)).figures[2]
    assert found.verdict == verdict
    assert found.measured_fraction == pytest.approx(sum(fractions) / 3)
    assert found.measured_deviation_fraction == pytest.approx(0.01)
    assert "Welch" in found.reasons[0]


def test_a_deviation_by_n_is_widened(recipe, row, make_run):
    """numpy's default divides by n: the same printed deviation stands for a wider spread."""
    run = make_run(fold_fractions=(0.911, 0.921, 0.931))
    by_n = changed(row.figures[2], deviation_divisor="n", deviation_fraction=0.01)
    texts = [
        compare_with_published(recipe, changed(row, figures=(figure,)), run).figures[0].reasons[0]
        for figure in (row.figures[2], by_n)
    ]
    widths = []
    for text in texts:
        low, high = text.partition("[")[2].partition("]")[0].split(", ")
        widths.append(float(high) - float(low))
    assert widths[1] > widths[0]


def test_every_difference_is_a_reason(recipe, row, make_run):
    """Counts, backbone, weights, precision, parameters, and what the recipe itself says."""
    run = make_run(n_test=100, n_correct=90, backbone="resnet50")
    weights = replace(run.model.card.weights, kind="random")
    card = replace(run.model.card, weights=weights, precision="int8")
    requested = run.config.requested | {"head_params": ["softmax.C=7"]}
    run = replace(
        run,
        model=replace(run.model, card=card),
        config=replace(run.config, requested=requested),
    )
    row = changed(row, differs=("another year",))
    found = compare_with_published(recipe, row, run)
    assert verdicts(found) == ["not comparable"] * 3
    text = "; ".join(found.figures[0].reasons)
    for part in (
        "smaller data: 100 of 899 test images",
        "other backbone: resnet50, not efficientnet-lite0",
        "random weights",
        "other precision: int8",
        "other parameters: softmax.C=7",
        "another year",
    ):
        assert part in text
    assert found.figures[0].measured_fraction == 0.9


def test_a_baseline_is_not_judged_by_the_network(recipe, row, make_run):
    """No network made the pixels: another backbone leaves their figure comparable."""
    found = compare_with_published(recipe, row, make_run(n_correct=860, backbone="resnet50"))
    assert verdicts(found) == ["not comparable", "reproduced", "not comparable"]


def test_more_data_are_other_data(recipe, row, make_run):
    """An experiment on half of the images is not repeated on all of them."""
    found = compare_with_published(recipe, changed(row, n_train=500), make_run())
    assert found.figures[0].reasons == ("other data: 898 instead of 500 train images",)


@pytest.mark.parametrize(
    ("others", "reason"),
    [
        ((), None),
        (("test_batch",), "test_batch is not the published file"),
        (("data_batch_1", "test_batch"), "data_batch_1 and test_batch are not the published files"),
        (("a", "b", "c"), "a, b and c are not the published files"),
    ],
)
def test_other_files_than_the_published_ones_are_a_reason(recipe, row, make_run, others, reason):
    """As many images in the same format may be other images; the files' digests tell."""
    run = make_run()
    files = [DataFile(name="data_batch_2", md5="0" * 32, published=True)]
    files += [DataFile(name=name, md5="1" * 32, published=False) for name in others]
    found = compare_with_published(
        recipe, row, replace(run, dataset=replace(run.dataset, files=tuple(files)))
    )
    if reason is None:
        assert verdicts(found)[0] == "reproduced"
        return
    assert verdicts(found) == ["not comparable"] * 3
    assert all(figure.reasons == (f"other data: {reason}",) for figure in found.figures)


@pytest.mark.parametrize(
    "export", [Export(input_size=64), Export(pooling="max"), Export(fit="crop")]
)
def test_another_export_of_the_same_backbone_is_a_reason(recipe, row, make_run, export):
    """An .onnx file of the right backbone may still have other features."""
    found = compare_with_published(recipe, changed(row, export=export), make_run())
    assert "other export" in found.figures[0].reasons[0]


def test_weights_are_always_named(recipe, row, make_run):
    """By kind, origin and digest; a file's provenance is nobody's knowledge."""
    run = make_run()
    card = run.model.card
    for kind, part in (("imagenet", "imagenet: "), ("file", "tlbench cannot know")):
        weights = replace(card.weights, kind=kind, sha256="ab" * 32)
        model = replace(run.model, card=replace(card, weights=weights))
        found = compare_with_published(recipe, row, replace(run, model=model))
        assert part in found.weights
        assert "ab" * 32 in found.weights
        assert verdicts(found)[0] == "reproduced"
    found = compare_with_published(recipe, row, replace(run, model=replace(run.model, card=None)))
    assert found.weights.startswith("unknown")
    assert verdicts(found)[0] == "not comparable"


def test_what_is_not_measured_says_why(recipe, row, make_run):
    """The published figure stands without a measured one, and nothing is made up."""
    figure = Figure(name="fine-tuned", fraction=0.6, not_measured="no training yet")
    (found,) = compare_with_published(recipe, changed(row, figures=(figure,)), make_run()).figures
    assert (found.verdict, found.measured_fraction) == ("not comparable", None)
    assert found.reasons == ("not measured: no training yet",)
