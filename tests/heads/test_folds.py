"""Stratified cross-validation: how images are dealt out, and what the record says."""

from dataclasses import replace
from statistics import mean, stdev

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import PredefinedSplit, cross_val_score

from tlbench.core.errors import ConfigError, DataError
from tlbench.heads import (
    HEADS,
    Head,
    SearchSpace,
    assign_folds,
    check_folds,
    cross_validate,
    resolve_params,
    search_parameter,
)


@given(
    st.lists(st.integers(0, 4), min_size=2, max_size=120),
    st.integers(2, 10),
    st.integers(0, 2**32 - 1),
)
def test_folds_are_even_in_size_and_in_every_class(labels, n_folds, seed):
    """No two folds differ by more than one image, nor by more than one image of a class."""
    labels = np.array(labels)
    n_folds = min(n_folds, len(labels))
    folds = assign_folds(labels, n_folds, seed)
    assert np.ptp(np.bincount(folds, minlength=n_folds)) <= 1
    for label in set(labels.tolist()):
        assert np.ptp(np.bincount(folds[labels == label], minlength=n_folds)) <= 1


def test_sixty_thousand_images_make_six_folds_of_ten_thousand():
    """The published protocol, on labels in the order that a sorted dataset has them."""
    folds = assign_folds(np.repeat(np.arange(100), 600), 6, 0)
    assert np.bincount(folds).tolist() == [10_000] * 6


def test_the_seed_decides():
    """One seed deals alike, another otherwise."""
    labels = np.arange(60) % 3
    np.testing.assert_array_equal(assign_folds(labels, 6, 1), assign_folds(labels, 6, 1))
    assert (assign_folds(labels, 6, 1) != assign_folds(labels, 6, 2)).any()


def test_more_folds_than_images_are_refused():
    with pytest.raises(ConfigError, match="folds must be at most 5, the number of images, got 6"):
        assign_folds(np.zeros(5, dtype=np.int64), 6, 0)


@pytest.fixture(scope="module")
def data():
    """Three classes that overlap: 130 rows in two parts."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 130)
    features = (rng.normal(size=(3, 6))[labels] + 2 * rng.normal(size=(130, 6))).astype(np.float32)
    return (features[:90], features[90:]), labels


def validate(head, data, **options):
    given = {"n_folds": 6, "features": "backbone", "baseline": False, "seed": 0} | options
    return cross_validate(head, resolve_params(head, {}), *data, **given)


def test_the_accuracies_are_scikit_learns(data):
    """The same folds in scikit-learn's own cross-validation give the same accuracies."""
    parts, labels = data
    head = HEADS.load("svm-linear")
    split = PredefinedSplit(assign_folds(labels, 6, 0))
    estimator = head.build(resolve_params(head, {}), 0)
    expected = cross_val_score(estimator, np.concatenate(parts), labels, cv=split)
    found = validate(head, data)
    assert [fold.n_correct / fold.n_test for fold in found.folds] == expected.tolist()


def test_mean_and_deviation_are_those_of_the_folds(data):
    """As papers print them: the deviation divides by k - 1 and is that of a single fold."""
    found = validate(HEADS.load("centroid"), data)
    accuracies = [fold.n_correct / fold.n_test for fold in found.folds]
    assert found.mean_fraction == mean(accuracies)
    assert found.deviation_fraction == stdev(accuracies)
    assert found.interval.low < found.mean_fraction < found.interval.high
    assert found.interval.method == "corrected resampled t"


def test_the_interval_is_that_of_nadeau_and_bengio():
    """By hand: three folds of ten, each tested by a head that was fitted on the other twenty."""
    found = scores_of_folds(5, 6, 5)
    # Student's t with 2 degrees of freedom at 97.5 %; a deviation of 1 / 30 * sqrt(3)
    half = 4.302652729911275 * np.sqrt(1 / 3 + 10 / 20) * np.sqrt(3) / 30
    assert found.interval.low == pytest.approx(16 / 30 - half)
    assert found.interval.high == pytest.approx(16 / 30 + half)
    assert found.interval.confidence_fraction == 0.95


def test_folds_of_unequal_size_count_with_their_mean_ratio(data):
    """130 images in four folds: two of 33, tested after 97, and two of 32, tested after 98."""
    found = validate(HEADS.load("centroid"), data, n_folds=4)
    ratio = (33 / 97 + 32 / 98) / 2
    half = 3.182446305284263 * np.sqrt(1 / 4 + ratio) * found.deviation_fraction  # t(3)
    assert found.interval.high - found.interval.low == pytest.approx(2 * half)


def test_every_image_is_tested_once(data):
    """Train and test of a fold are all images."""
    found = validate(HEADS.load("centroid"), data)
    assert sum(fold.n_test for fold in found.folds) == 130
    assert {fold.search for fold in found.folds} == {None}
    assert {fold.n_train + fold.n_test for fold in found.folds} == {130}


@settings(max_examples=20)
@given(st.integers(1, 129))
def test_where_the_parts_are_cut_does_not_matter(data, cut):
    """Train and test are laid end to end without a copy of the whole."""
    parts, labels = data
    whole = np.concatenate(parts)
    head = HEADS.load("centroid")
    found = validate(head, ((whole[:cut], whole[cut:]), labels), n_folds=3)
    expected = validate(head, ((whole,), labels), n_folds=3)
    assert [f.n_correct for f in found.folds] == [f.n_correct for f in expected.folds]


def test_notes_of_folds_are_said_once(data):
    """A solver that stops early in every fold is one note; so is what the head had to change."""
    head = Head(
        name="noted",
        summary="",
        defaults={"C": 1.0},
        build=lambda _params, _seed: HEADS.load("centroid").build({"shrink_threshold": None}, 0),
        adapt=lambda params, _labels: ({**params, "C": 2.0}, ("C was raised.",)),
    )
    found = validate(head, data)
    assert found.notes.count("C was raised.") == 1
    assert found.params == {"C": 2.0}


def test_a_class_smaller_than_the_number_of_folds_is_said(data):
    """It is missing from some folds."""
    parts, labels = data
    labels = np.where(np.arange(130) < 4, 3, labels)
    found = validate(HEADS.load("centroid"), (parts, labels))
    expected = ("1 class has fewer images than there are folds: some folds have no image of it.",)
    assert found.notes == expected


def test_a_class_of_one_image_is_said(data):
    """Whatever the head, it is wrong about it in the one fold that tests it."""
    parts, labels = data
    labels = np.where(np.arange(130) < 1, 3, labels)
    found = validate(HEADS.load("centroid"), (parts, labels))
    assert found.notes[1].startswith("1 class has a single image: in the fold that")


@pytest.mark.parametrize("counts", [(9, 1), (1, 6)])
def test_a_fold_that_leaves_one_class_to_learn_is_refused(counts):
    """All but one class have a single image, and it lies in the fold that is tested."""
    labels = np.repeat([0, 1], counts)
    with pytest.raises(ConfigError) as refused:
        check_folds(labels, 3, 0)
    single = assign_folds(labels, 3, 0)[np.argmin(np.array(counts)[labels])]
    assert str(refused.value) == (
        f"folds=3 leaves only images of class {np.argmax(counts)} outside fold {single + 1}, "
        "because every other class has a single image. Add images, or do without cross-validation."
    )
    check_folds(np.append(labels, [0, 1]), 3, 0)


def test_a_fold_without_anything_to_learn_is_named(data):
    """Features vary in one image only: the fold that tests it has nothing to learn from."""
    labels = np.arange(12) % 2
    features = np.zeros((12, 3), np.float32)
    features[4] = 1
    number = assign_folds(labels, 3, 0)[4] + 1
    with pytest.raises(
        DataError, match=f"^fold {number} of 3: All 8 training images have the same"
    ):
        validate(HEADS.load("centroid"), ((features,), labels), n_folds=3)


def scores_of_folds(*scores):
    """Cross-validate a head that gets so many of ten images right in each fold."""
    labels = np.arange(10 * len(scores)) % 2
    fold_of = assign_folds(labels, len(scores), 0)
    place = np.empty(len(labels), dtype=np.int64)
    for number in range(len(scores)):
        place[fold_of == number] = np.arange(10)
    is_right = place < np.array(scores)[fold_of]

    class Scripted:
        def fit(self, _features, _labels):
            return self

        def predict(self, features):
            return features[:, 0].astype(np.int64)

    head = Head(name="scripted", summary="", defaults={}, build=lambda _params, _seed: Scripted())
    features = np.where(is_right, labels, 1 - labels)[:, None].astype(np.float32)
    return validate(head, ((features,), labels), n_folds=len(scores))


@pytest.mark.parametrize(
    ("scores", "said"), [((8, 8, 9, 8, 8, 8), True), ((6, 8, 10, 7, 9, 8), False)]
)
def test_folds_that_agree_too_well_are_said(scores, said):
    """Sixty images cannot tell an accuracy to six points, whatever six folds look like."""
    found = scores_of_folds(*scores)
    assert [fold.n_correct for fold in found.folds] == list(scores)
    assert ["narrower" in note for note in found.notes] == [True] * said


def test_an_interval_without_width_is_said():
    """Every fold right throughout: thirty images say no more than 88.6 %, Wilson's lower end."""
    found = scores_of_folds(10, 10, 10)
    assert (found.interval.low, found.interval.high) == (1, 1)
    (note,) = found.notes
    assert "an accuracy on 30 images, 88.6 to 100.0 %" in note


def test_a_search_sees_the_training_images_of_its_fold_alone(data):
    """Each fold's choice is that of a search on the other folds, and its fit is made with it."""
    parts, labels = data
    features = np.concatenate(parts)
    head = HEADS.load("svm-linear")
    space = SearchSpace(parameter="C", values=(1e-4, 1e-2, 1.0))
    found = validate(head, data, n_folds=3, space=space)
    fold_of = assign_folds(labels, 3, 0)
    for number, fold in enumerate(found.folds):
        rest = fold_of != number
        alone = search_parameter(
            head, space, resolve_params(head, {}), features[rest], labels[rest], seed=0
        )
        assert replace(fold.search, elapsed_s=0) == replace(alone, elapsed_s=0)
        fitted = head.build(resolve_params(head, {"C": alone.chosen}), 0)
        fitted.fit(features[rest], labels[rest])
        assert fold.n_correct == int((fitted.predict(features[~rest]) == labels[~rest]).sum())
    assert "C" not in found.params  # each fold has its own
    assert found.params.keys() == resolve_params(head, {}).keys() - {"C"}


def test_what_is_in_a_fold_has_no_say_in_its_search(data):
    """Exchanged images in the first fold change the searches of the others, never its own."""
    parts, labels = data
    head = HEADS.load("svm-linear")
    space = SearchSpace(parameter="C", values=(1e-4, 1e-2, 1.0))
    inside = np.flatnonzero(assign_folds(labels, 3, 0) == 0)
    features = np.concatenate(parts)
    changed = features.copy()
    changed[inside] = features[inside[::-1]]  # labels, and with them the folds, stay as they are
    before, after = (
        validate(head, ((matrix,), labels), n_folds=3, space=space).folds
        for matrix in (features, changed)
    )
    assert before[0].search.n_correct == after[0].search.n_correct
    assert any(
        one.search.n_correct != two.search.n_correct
        for one, two in zip(before[1:], after[1:], strict=True)
    )


def test_edges_of_all_folds_are_one_note(data):
    """Six searches at the same edge are one thing to know."""
    space = SearchSpace(parameter="C", values=(1e-9, 1e-8))
    found = validate(HEADS.load("svm-linear"), data, space=space)
    assert len([note for note in found.notes if "in 6 of 6 searches" in note]) == 1
    assert len([note for note in found.notes if "few as 22 held-out images" in note]) == 1


def test_progress_is_told_for_each_fold(data):
    """A fit of minutes is no silence, nor is a search."""
    steps = []
    validate(HEADS.load("centroid"), data, on_fit=lambda: steps.append(1))
    assert len(steps) == 6
    space = SearchSpace(parameter="C", values=(1e-4, 1e-2))
    validate(HEADS.load("svm-linear"), data, space=space, on_fit=lambda: steps.append(1))
    assert len(steps) == 6 + 6 * 3
