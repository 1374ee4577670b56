"""Protocols as parts of a run: on shared features, from the store, refused before any work."""

from dataclasses import replace

import numpy as np
import pytest

from tlbench.core.errors import ConfigError
from tlbench.records import decode_run, encode_run
from tlbench.workflows import ProtocolConfig, run_benchmark


def with_protocol(config, **protocol):
    return replace(config, protocol=ProtocolConfig(**protocol))


def test_a_run_has_no_protocol_unless_asked(config):
    result = run_benchmark(config).result
    assert result.cross_validation == ()
    assert result.learning_curves == ()


def test_folds_are_of_train_and_test_together(config):
    """Backbone and baseline, every image once."""
    result = run_benchmark(with_protocol(config, folds=3)).result
    assert [(one.features, one.baseline) for one in result.cross_validation] == [
        ("backbone", False),
        ("pixels", True),
    ]
    for one in result.cross_validation:
        assert [fold.n_test for fold in one.folds] == [100, 100, 100]
        assert not one.from_store
    assert len(result.accuracy) == 2  # the hold-out is there as well


def test_folds_run_no_network_twice(config, network_calls):
    """The features of the hold-out are those of the folds."""
    run_benchmark(config)
    network_calls.clear()
    run_benchmark(with_protocol(config, folds=3))
    assert network_calls == []


def test_folds_come_from_the_store(config):
    """The same folds again are the same record; another number of them is fitted anew."""
    first = run_benchmark(with_protocol(config, folds=3)).result.cross_validation
    second = run_benchmark(with_protocol(config, folds=3)).result.cross_validation
    assert second == tuple(replace(one, from_store=True) for one in first)
    others = run_benchmark(with_protocol(config, folds=4)).result.cross_validation
    assert [(len(one.folds), one.from_store) for one in others] == [(4, False), (4, False)]


def test_a_curve_has_every_size_and_draw_and_comes_from_the_store(config, network_calls):
    """Backbone and baseline, on the whole test split, without the network."""
    run_benchmark(config)
    network_calls.clear()
    config = with_protocol(config, curve=(5, 1), curve_seeds=2)
    curves = run_benchmark(config).result.learning_curves
    assert network_calls == []
    assert [one.features for one in curves] == ["backbone", "pixels"]
    for one in curves:
        found = [(point.images_per_class, point.seed, point.n_train) for point in one.points]
        assert found == [(1, 0, 10), (5, 0, 50), (1, 1, 10), (5, 1, 50)]
        assert {point.n_test for point in one.points} == {100}
    assert run_benchmark(config).result.learning_curves == curves


def test_a_head_that_cannot_learn_from_so_few_is_refused_before_any_work(config, network_calls):
    """Ten neighbours of ten images exist, twenty do not."""
    config = replace(config, heads=("knn",), head_params=("k=20",))
    with pytest.raises(ConfigError, match="k=20 neighbours of 10 training images"):
        run_benchmark(with_protocol(config, curve=(1, 5)))
    assert network_calls == []


@pytest.mark.parametrize(
    ("protocol", "title"), [({"folds": 3}, "folds"), ({"curve": (5,), "curve_seeds": 2}, "curve")]
)
def test_what_a_protocol_notes_is_a_caution(config, protocol, title):
    """A solver that stops early in the folds is said as loudly as one in the hold-out."""
    config = replace(config, heads=("softmax",), baselines=(), head_params=("max_iter=1",))
    warnings = run_benchmark(with_protocol(config, **protocol)).result.warnings
    found = [one for one in warnings if one.startswith(f"{title} of softmax on backbone: ")]
    assert len(found) == 1
    assert "did not converge" in found[0]


def test_protocols_survive_json(config):
    protocol = {"folds": 3, "curve": (1, 5), "curve_seeds": 2}
    result = run_benchmark(with_protocol(config, **protocol)).result
    assert decode_run(encode_run(result), "run.json") == result


@pytest.mark.parametrize(
    ("protocol", "match"),
    [
        ({"folds": 301}, "folds must be at most 300, .* got 301"),
        ({"curve": (1, 100)}, "asks for 100 training images of each class, but class '.' has"),
    ],
)
def test_what_the_data_cannot_give_is_refused_before_any_work(
    config, network_calls, protocol, match
):
    with pytest.raises(ConfigError, match=match):
        run_benchmark(with_protocol(config, **protocol))
    assert network_calls == []


def test_a_search_is_recorded_and_its_choice_is_used(config):
    """The chosen value is among the parameters of the fit, which has all training images."""
    config = with_protocol(replace(config, heads=("softmax",)), search=True)
    for result in run_benchmark(config).result.accuracy:
        assert result.search.parameter == "C"
        assert result.params["C"] == result.search.chosen
        assert result.n_train == 200
        assert result.search.n_validation == 40


def test_a_search_does_not_look_at_the_test_split(config):
    """Fewer test images, the same choice."""
    config = with_protocol(replace(config, heads=("softmax",)), search=True)
    few = replace(config, limit_test=30)
    found = [[one.search for one in run_benchmark(c).result.accuracy] for c in (config, few)]
    assert [one.n_correct for one in found[0]] == [one.n_correct for one in found[1]]
    assert [one.chosen for one in found[0]] == [one.chosen for one in found[1]]


def test_folds_and_curves_search_for_themselves(config):
    """Each fold and each point that can spare images has a search on its own training images."""
    protocol = {"folds": 3, "curve": (1, 5), "curve_seeds": 2, "search": True}
    config = replace(config, heads=("softmax", "centroid"), baselines=())
    result = run_benchmark(with_protocol(config, **protocol)).result
    searched, other = result.cross_validation
    assert [fold.search.n_validation for fold in searched.folds] == [40, 40, 40]
    assert "C" not in searched.params
    assert [fold.search for fold in other.folds] == [None, None, None]
    searched, other = result.learning_curves
    assert [point.search is not None for point in searched.points] == [False, True, False, True]
    assert {point.search for point in other.points} == {None}
    assert any("curve of softmax" in text and "C keeps the" in text for text in result.warnings)


def test_protocols_with_and_without_a_search_are_kept_apart_in_the_store(config):
    """The second run asks for searches, and must not find the first's folds."""
    config = replace(config, heads=("softmax",), baselines=())
    plain, searched, again = (
        run_benchmark(with_protocol(config, folds=3, search=search)).result.cross_validation[0]
        for search in (False, True, True)
    )
    assert plain.folds[0].search is None
    assert not searched.from_store
    assert again == replace(searched, from_store=True)


def test_a_search_and_none_are_kept_apart_in_the_store(config):
    """The second run asks for a search, and must not find the first's prediction."""
    config = replace(config, heads=("softmax",), baselines=())
    plain = run_benchmark(config).result.accuracy[0]
    searched = run_benchmark(with_protocol(config, search=True)).result.accuracy[0]
    again = run_benchmark(with_protocol(config, search=True)).result.accuracy[0]
    assert plain.search is None
    assert not searched.from_store
    assert again == replace(searched, from_store=True)


def test_a_head_without_a_range_says_that_nothing_was_searched(config):
    config = with_protocol(replace(config, heads=("softmax", "centroid")), search=True)
    result = run_benchmark(config).result
    assert [one.search is None for one in result.accuracy] == [False, True, False, True]
    assert "This head has no parameter to search" in result.accuracy[1].notes[0]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"heads": ("centroid",)}, "search=True finds no parameter to choose for centroid"),
        (
            {"heads": ("softmax",), "head_params": ("C=1",)},
            "search=True chooses softmax.C, and head_params gives C",
        ),
        ({"heads": ("softmax",), "head_params": ("softmax.C=1",)}, "head_params gives softmax.C"),
    ],
)
def test_a_search_that_makes_no_sense_is_refused_before_any_work(
    config, network_calls, change, match
):
    with pytest.raises(ConfigError, match=match):
        run_benchmark(with_protocol(replace(config, **change), search=True))
    assert network_calls == []


def test_folds_do_not_change_the_hold_out(config):
    """A protocol is an addition."""
    plain = run_benchmark(config)
    more = run_benchmark(with_protocol(config, folds=3))
    for name, array in plain.predictions.items():
        np.testing.assert_array_equal(more.predictions[name], array)
