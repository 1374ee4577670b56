"""What does not match is refused by name, or compared with its mismatches listed."""

import dataclasses
import re

import pytest

from tlbench.compare import compare_runs
from tlbench.core.errors import ComparisonError
from tlbench.model import Preprocess
from tlbench.records import Mismatch, ServerLoad

replace = dataclasses.replace


def _card(run, **changes):
    """Return a model of another file whose card has the changes."""
    card = replace(run.model.card, **changes)
    return replace(run.model, sha256="e" * 64, card=card)


def _weights(run, **changes):
    return _card(run, weights=replace(run.model.card.weights, **changes))


def _load(qps):
    return ServerLoad(
        qps=qps, latency_bound_s=0.1, over_fraction=0.0, over_high=0.01, allowed_fraction=0.01
    )


MISMATCHES = {
    "precision": (lambda run: {"timing": {"precision": "fp16"}}, "fp32", "fp16"),
    "input shape": (lambda run: {"timing": {"input_shape": (64, 32, 3)}}, "32x32x3", "64x32x3"),
    "pause": (lambda run: {"timing": {"pause_s": 0.5}}, "none", "0.5 s"),
    "load": (lambda run: {"timing": {"server": _load(50)}}, "none", "50/s within 0.1 s"),
    "backbone": (
        lambda run: {"model": _card(run, backbone="vgg16")},
        "efficientnet-lite0",
        "vgg16",
    ),
    "weights": (lambda run: {"model": _weights(run, sha256="d" * 64)}, "3b3b3b", "dddddd"),
    "input size": (lambda run: {"model": _card(run, input_size=(128, 96))}, "224x224", "128x96"),
    "resize": (lambda run: {"model": _card(run, resize="nearest")}, "bilinear", "nearest"),
    "preprocessing": (lambda run: {"model": _card(run, preprocessing="x / 255")}, "127", "255"),
    "layer": (lambda run: {"model": _card(run, layer="blocks.3")}, "head", "blocks.3"),
    "pooling": (lambda run: {"model": _card(run, pooling="max")}, "avg", "max"),
    "features": (lambda run: {"model": _card(run, feature_shape=(7, 640))}, "1280", "7x640"),
    "classes": (lambda run: {"model": _card(run, n_classes=1000)}, "none", "1000"),
    "model file": (
        lambda run: {"model": replace(run.model, sha256="e" * 64, card=None)},
        "5c5c5c",
        "eeeeee",
    ),
    "dataset": (
        lambda run: {"dataset": replace(run.dataset, fingerprint="f" * 64)},
        "cifar10 a7a7a7",
        "cifar10 ffffff",
    ),
    "train images": (lambda run: {"accuracy": {"n_train": 1000}}, "5085", "1000"),
    "test images": (lambda run: {"accuracy": {"n_test": 500}}, "1017", "500"),
    "parameter C": (lambda run: {"accuracy": {"params": {"C": 0.5}}}, "1.0", "0.5"),
}


# The parameters that the golden run has besides C.
ABSENT = {"parameter max_iter", "parameter standardise", "parameter kernel"}


@pytest.mark.parametrize(("name", "case"), MISMATCHES.items(), ids=MISMATCHES)
def test_each_mismatch_is_refused_with_both_values(saved_run, vary, compared, name, case):
    """The message names the property, what was found on either side, and the way out."""
    change, one, two = case
    other = vary(saved_run, **change(saved_run))
    with pytest.raises(ComparisonError) as caught:
        compare_runs(compared(saved_run, other))
    message = str(caught.value)
    assert re.search(
        rf"A and B: {name} [^;]*{re.escape(one)}.* against .*{re.escape(two)}", message
    )
    assert "allow_unlike=True" in message
    assert saved_run.id in message
    assert other.id in message


@pytest.mark.parametrize(("name", "case"), MISMATCHES.items(), ids=MISMATCHES)
def test_each_mismatch_can_be_allowed(saved_run, vary, compared, name, case):
    """The figures come with what differs."""
    change, _, _ = case
    found = compare_runs(
        compared(saved_run, vary(saved_run, **change(saved_run))), allow_unlike=True
    )
    pairs = (*found.speed_ups, *found.accuracy)
    assert name in {difference.name for pair in pairs for difference in pair.mismatches}
    assert len(found.speed_ups) == 2
    assert len(found.accuracy) == 4


@pytest.mark.parametrize(("name", "case"), MISMATCHES.items(), ids=MISMATCHES)
def test_no_other_mismatch_is_named(saved_run, vary, compared, name, case):
    """Each property is compared by itself."""
    change, _, _ = case
    found = compare_runs(
        compared(saved_run, vary(saved_run, **change(saved_run))), allow_unlike=True
    )
    pairs = (*found.speed_ups, *found.accuracy)
    # A file without a card says neither precision nor fit; other parameters are absent.
    others = {"model file": {"precision", "fit"}, "parameter C": ABSENT}.get(name, set())
    assert {difference.name for pair in pairs for difference in pair.mismatches} == {name} | others


EXACT = {
    "classes": ({"n_classes": 1000}, ("none", "1000")),
    "input size": ({"input_size": (128, 96)}, ("224x224", "128x96")),
    "pooling": ({"pooling": "max"}, ("avg", "max")),
}


@pytest.mark.parametrize(("name", "case"), EXACT.items(), ids=EXACT)
def test_a_mismatch_has_the_values_of_both_cards(saved_run, vary, compared, name, case):
    changes, (one, two) = case
    other = vary(saved_run, model=_card(saved_run, **changes))
    first, *_ = compare_runs(compared(saved_run, other), allow_unlike=True).speed_ups
    assert first.mismatches == (Mismatch(name=name, reference=one, other=two),)


def test_a_file_without_a_card_is_named_by_its_digest(saved_run, vary, compared):
    bare = replace(saved_run.model, path_name="mine.onnx", sha256="e" * 64, card=None)
    first, *_ = compare_runs(
        compared(saved_run, vary(saved_run, model=bare)), allow_unlike=True
    ).speed_ups
    digest = saved_run.model.sha256[:12]
    assert first.mismatches == (
        Mismatch(
            name="model file",
            reference=f"{saved_run.model.path_name} {digest} with a card",
            other="mine.onnx eeeeeeeeeeee without a card",
        ),
    )


@pytest.mark.parametrize(("kind", "sha256"), [("imagenet", "d" * 64), ("file", None)])
def test_weights_are_their_kind_and_their_digest(saved_run, vary, compared, kind, sha256):
    """Either alone makes other weights."""
    digest = sha256 or saved_run.model.card.weights.sha256
    other = vary(saved_run, model=_weights(saved_run, kind=kind, sha256=digest))
    found = compare_runs(compared(saved_run, other), allow_unlike=True)
    assert {one.name for pair in found.speed_ups for one in pair.mismatches} == {"weights"}


def test_one_message_names_every_difference_once(saved_run, vary, compared):
    """Two timings of one precision are one difference, with both places."""
    other = vary(saved_run, timing={"precision": "fp16"}, accuracy={"n_train": 7})
    with pytest.raises(ComparisonError) as caught:
        compare_runs(compared(saved_run, other))
    message = str(caught.value)
    assert message.count("precision fp32 against fp16 (single batch 1, batch batch 32)") == 1
    assert message.count("train images 5085 against 7") == 1


def test_machine_provider_and_threads_may_differ(saved_run, vary, compared):
    """How much they matter is the question."""
    environment = replace(saved_run.environment, cpu="Other CPU", gpus=(), governor="powersave")
    other = vary(saved_run, timing={"provider": "cuda", "threads": 8}, environment=environment)
    found = compare_runs(compared(saved_run, other))
    assert not any(pair.mismatches for pair in found.speed_ups)
    differing = {one.name: one.values for one in found.properties if one.differs}
    assert differing == {
        "CPU": ("Example CPU @ 2.00GHz", "Other CPU"),
        "GPU": ("Example GPU, driver 550.10; Silent GPU, driver 550.10", "none"),
        "provider": ("CPUExecutionProvider", "cuda"),
        "threads": ("2", "8"),
        "governor": ("performance", "powersave"),
    }


def _machine(**changes):
    return lambda run: {"environment": replace(run.environment, **changes)}


def _library(name, version):
    return lambda run: {
        "environment": replace(
            run.environment, libraries=run.environment.libraries | {name: version}
        )
    }


PROPERTIES = {
    "CPU": (_machine(cpu="Other CPU"), "Other CPU"),
    "processors": (_machine(cpus_usable=3, cpus_total=48), "3 of 48"),
    "GPU": (_machine(gpus=()), "none"),
    "provider": (lambda run: {"timing": {"provider": "cuda"}}, "cuda"),
    "threads": (lambda run: {"timing": {"threads": 8}}, "8"),
    "settings": (
        lambda run: {"timing": {"settings": {"spin": "0", "arena": "1"}}},
        "arena=1; spin=0",
    ),
    "ONNX Runtime": (
        _library("onnxruntime", "9.9.9"),
        "onnxruntime-gpu 1.31.1; onnxruntime 9.9.9",
    ),
    "governor": (_machine(governor=None), "unknown"),
    "mains power": (_machine(on_ac_power=False), "no"),
    "OS": (_machine(os="Plan 9"), "Plan 9"),
    "Python": (_machine(python="3.99"), "3.99"),
    "model file": (
        lambda run: {"model": replace(run.model, path_name="copy.onnx")},
        "copy.onnx 5c5c5c5c5c5c",
    ),
    "tlbench": (lambda run: {"tlbench_version": "9.9"}, "9.9"),
    "scikit-learn": (_library("scikit-learn", "9.9"), "9.9"),
}


@pytest.mark.parametrize(("name", "case"), PROPERTIES.items(), ids=PROPERTIES)
def test_each_property_is_listed_and_differs_alone(saved_run, vary, compared, name, case):
    """Machine and settings may explain a difference: every one of them, under its own name."""
    change, value = case
    found = compare_runs(compared(saved_run, vary(saved_run, **change(saved_run)))).properties
    assert [one.name for one in found] == list(PROPERTIES)
    assert {one.name: one.values[1] for one in found if one.differs} == {name: value}


@pytest.mark.parametrize(("power", "said"), [(True, "yes"), (False, "no"), (None, "unknown")])
def test_mains_power_may_be_unknown(saved_run, vary, compared, power, said):
    other = vary(saved_run, **_machine(on_ac_power=power)(saved_run))
    found = {one.name: one.values[1] for one in compare_runs(compared(saved_run, other)).properties}
    assert found["mains power"] == said


def test_runs_without_timings_have_the_properties_of_their_extraction(saved_run, vary, compared):
    """Provider and threads decide about features as well."""
    first = vary(saved_run, "a", latency=())
    passes = tuple(replace(one, provider="cuda") for one in saved_run.extraction)
    config = replace(saved_run.config, effective=saved_run.config.effective | {"threads": 9})
    second = vary(saved_run, "b", latency=(), extraction=passes, config=config)
    found = compare_runs(compared(first, second)).properties
    differing = {one.name: one.values for one in found if one.differs}
    assert differing == {"provider": ("CPUExecutionProvider", "cuda"), "threads": ("2", "9")}
    unknown = replace(saved_run.config, effective={})
    third = vary(saved_run, "c", latency=(), extraction=(), config=unknown)
    found = {one.name: one.values[1] for one in compare_runs(compared(first, third)).properties}
    assert (found["provider"], found["threads"], found["settings"]) == ("unknown",) * 3


def test_files_of_one_network_match(saved_run, vary, compared):
    """An export with another version of the exporter has other bytes and the same card."""
    found = compare_runs(compared(saved_run, vary(saved_run, model=_card(saved_run, opset=18))))
    assert not any(pair.mismatches for pair in (*found.speed_ups, *found.accuracy))
    assert next(one for one in found.properties if one.name == "model file").differs


def test_one_file_under_two_names_matches(saved_run, vary, compared):
    """Without a card, too: its bytes say that it is the same."""
    bare = replace(saved_run.model, card=None)
    renamed = vary(saved_run, "renamed", model=replace(bare, path_name="copy.onnx"))
    found = compare_runs(compared(vary(saved_run, model=bare), renamed))
    assert not any(pair.mismatches for pair in (*found.speed_ups, *found.accuracy))


def test_random_weights_of_two_seeds_do_not_match(saved_run, vary, compared):
    """They have no file whose hash could tell: where they came from does."""
    seeds = [
        vary(
            saved_run,
            f"run-{seed}",
            model=replace(
                _weights(saved_run, kind="random", sha256=None, origin=f"seed {seed}"),
                sha256=str(seed) * 64,
            ),
        )
        for seed in (1, 2)
    ]
    with pytest.raises(ComparisonError, match="weights random seed 1 against random seed 2"):
        compare_runs(compared(*seeds))


def test_the_model_does_not_matter_to_a_feature_baseline(saved_run, vary, compared):
    """The same head on raw pixels is the same whatever the backbone."""
    other = vary(saved_run, model=_card(saved_run, backbone="vgg16", precision="fp16"))
    found = compare_runs(compared(saved_run, other), allow_unlike=True)
    mismatches = {
        pair.other.features: {one.name for one in pair.mismatches} for pair in found.accuracy
    }
    assert mismatches == {"backbone": {"precision", "backbone"}, "pixels": set()}


def test_equal_parameters_in_another_order_match(saved_run, vary, compared):
    """The order of keys in a file says nothing."""
    other = vary(
        saved_run,
        accuracies=tuple(
            replace(one, params=dict(reversed(one.params.items()))) for one in saved_run.accuracy
        ),
    )
    assert not any(pair.mismatches for pair in compare_runs(compared(saved_run, other)).accuracy)
    nested = [
        vary(saved_run, f"run-{number}", accuracy={"params": {"layers": layers}})
        for number, layers in enumerate(({"a": 1, "b": 2}, {"b": 2, "a": 1}))
    ]
    assert not any(pair.mismatches for pair in compare_runs(compared(*nested)).accuracy)


def _fitted(run, fit, fraction=None, *, seen=None):
    """Return changes to a run: a card with a fit, and the share of the images that was cropped."""
    preprocess = Preprocess(
        fit=fit,
        crop_fraction=fraction,
        size=(224, 224),
        interpolation="bilinear",
        antialias=False,
        mean=(127.0,) * 3,
        std=(128.0,) * 3,
    )
    digest = (fit + str(seen)).encode().hex().zfill(64)
    model = replace(_card(run, preprocess=preprocess), sha256=digest)
    extraction = tuple(replace(one, cropped_fraction=seen) for one in run.extraction)
    return {"model": model, "extraction": extraction}


def test_another_fit_forbids_a_comparison_of_accuracies(saved_run, vary, compared):
    """The features are of other parts of the images; the old run's card says nothing: it squashed.

    Timings are of square images, which no fit changes.
    """
    other = vary(saved_run, **_fitted(saved_run, "crop", 0.875, seen=0.3))
    found = compare_runs(compared(saved_run, other), allow_unlike=True)
    (mismatch,) = {one for pair in found.accuracy for one in pair.mismatches}
    assert (mismatch.name, mismatch.reference, mismatch.other) == ("fit", "squash", "crop 0.875")
    assert not any(pair.mismatches for pair in found.speed_ups)


@pytest.mark.parametrize("fit", ["squash", "pad"])
def test_the_fit_does_not_matter_to_square_images(saved_run, vary, compared, fit):
    """A centred crop that left nothing out has seen squares only."""
    one = vary(saved_run, "one", **_fitted(saved_run, "crop", 1.0, seen=0.0))
    two = vary(saved_run, "two", **_fitted(saved_run, fit, seen=0.0))
    for pair in ((one, two), (two, one), (saved_run, one)):
        found = compare_runs(compared(*pair))
        assert not any(each.mismatches for each in found.accuracy)
    padded = vary(saved_run, "three", **_fitted(saved_run, "pad", seen=0.0))
    with pytest.raises(ComparisonError, match="fit"):  # nothing says that these were square
        compare_runs(compared(saved_run, padded))
