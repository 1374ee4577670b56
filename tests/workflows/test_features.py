"""Features of a split: what their key in the store is made of, and which rows they belong to."""

from dataclasses import replace
from importlib import metadata

import numpy as np
import onnx
import pytest

from tlbench.core.errors import DataError, StorageError, UnreadableImageError
from tlbench.core.progress import Silent
from tlbench.datasets import Split
from tlbench.features import ArrayStore, FeatureBaseline
from tlbench.model import CARD_KEY, OnnxModel, decode_card, encode_card
from tlbench.workflows.steps import digests
from tlbench.workflows.steps import features as step
from tlbench.workflows.steps.context import RunContext


@pytest.fixture
def features_of(config):
    """Return a function that gives the train features for a configuration changed in some ways."""

    def run(**changes):
        return step.extract_dataset_split(replace(config, **changes), "train", Silent())

    return run


def _is_new(before, after):
    assert not before.result.from_store
    assert after.result.from_store == (before.key == after.key)
    return before.key != after.key


@pytest.mark.parametrize(
    "change",
    [
        {"batch_size": 7},
        {"threads": 1},
        {"limit_test": 50},
        {"heads": ("knn",)},
        {"dataset": "digits", "baselines": ()},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_changes_no_feature_is_not_in_the_key(features_of, change):
    assert not _is_new(features_of(), features_of(**change))


def test_other_images_are_other_features(features_of):
    assert _is_new(features_of(), features_of(limit_train=150))


def test_another_model_file_has_other_features(features_of, tiny_path, tmp_path):
    model = onnx.load(tiny_path)
    (kernel,) = (tensor for tensor in model.graph.initializer if tensor.name == "kernel")
    kernel.raw_data = kernel.raw_data[::-1]
    onnx.save(model, tmp_path / "b.onnx")
    assert _is_new(features_of(), features_of(model=str(tmp_path / "b.onnx")))


def test_a_copy_of_the_model_file_has_the_same_features(features_of, tiny_path, tmp_path):
    """The content counts, not the name."""
    (tmp_path / "copy.onnx").write_bytes(tiny_path.read_bytes())
    assert not _is_new(features_of(), features_of(model=str(tmp_path / "copy.onnx")))


def test_provider_options_are_in_the_key(features_of):
    options = {"arena_extend_strategy": "kSameAsRequested"}
    assert _is_new(features_of(), features_of(provider_options=options))


@pytest.mark.usefixtures("cuda_machine")
def test_the_provider_is_in_the_key(features_of):
    assert _is_new(features_of(), features_of(provider="cuda"))


@pytest.mark.parametrize(("provider", "is_new"), [("cuda", True), ("cpu", False)])
@pytest.mark.usefixtures("cuda_machine")
def test_an_override_of_tf32_is_in_the_key(features_of, monkeypatch, provider, is_new):
    """It overrules the provider's options on a GPU, and means nothing on the CPU."""
    monkeypatch.delenv("NVIDIA_TF32_OVERRIDE", raising=False)
    before = features_of(provider=provider)
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "0")
    off = features_of(provider=provider)
    assert _is_new(before, off) == is_new
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "1")
    assert (features_of(provider=provider).key != off.key) == is_new


def test_the_precision_is_in_the_key(features_of, tiny_path, tmp_path, monkeypatch):
    """Even of two files that have the same digest."""
    model = onnx.load(tiny_path)
    (entry,) = (one for one in model.metadata_props if one.key == CARD_KEY)
    entry.value = encode_card(replace(decode_card(entry.value), precision="fp16"))
    onnx.save(model, tmp_path / "half.onnx")
    original = OnnxModel.__init__

    def same_digest(self, path):
        original(self, path)
        self.sha256 = "0" * 64

    monkeypatch.setattr(OnnxModel, "__init__", same_digest)
    assert _is_new(features_of(), features_of(model=str(tmp_path / "half.onnx")))


def test_the_version_of_onnx_runtime_is_in_the_key(features_of, monkeypatch):
    before = features_of()
    monkeypatch.setattr(step, "runtime_version", lambda: "onnxruntime 99.0")
    assert _is_new(before, features_of())


def test_the_version_of_pillow_is_in_the_key(features_of, monkeypatch):
    """Another version may decode other pixels from the same files."""
    before, original = features_of(), metadata.version
    monkeypatch.setattr(
        step.metadata, "version", lambda name: "99" if name == "pillow" else original(name)
    )
    assert _is_new(before, features_of())


def test_the_layout_of_the_store_is_in_the_key(features_of, monkeypatch):
    before = features_of()
    monkeypatch.setattr("tlbench.features.store.LAYOUT_VERSION", 2)
    assert _is_new(before, features_of())


def test_features_that_are_deleted_at_once_are_an_error(features_of, monkeypatch):
    """Another program empties the cache while it is in use: told, with what to do."""
    monkeypatch.setattr(ArrayStore, "get", lambda *_: None)
    with pytest.raises(StorageError, match="disappeared from .*store.*another program.*cache_dir"):
        features_of()


class Photos:
    """Images of one colour each, of which those in *bad* cannot be read; counts its reads."""

    def __init__(self, n_images, bad=(), error=None):
        self.n_images, self.bad, self.error, self.n_reads = n_images, bad, error, 0

    def __len__(self):
        return self.n_images

    def __getitem__(self, index):
        self.n_reads += 1
        if index in self.bad:
            raise self.error or UnreadableImageError(f"photo {index} is cut short.")
        return np.full((4, 4, 3), index, dtype=np.uint8)


def _split(images, name="photos"):
    return Split(images=images, labels=np.arange(len(images)) % 2, fingerprint=name)


def test_an_error_of_a_datasets_own_is_not_the_caches(config):
    """A dataset that misses a file must not be told to choose another cache."""
    error = FileNotFoundError(2, "No such file or directory", "/the/archive/of/the.plugin")
    with RunContext.opened(config, Silent()) as context, pytest.raises(FileNotFoundError) as caught:
        step.extract_split(context, _split(Photos(10, bad={3}, error=error)), "train")
    assert caught.value is error


@pytest.fixture
def store(tmp_path):
    return ArrayStore(tmp_path / "store", on_damage=print)


def test_digests_come_from_the_store(store):
    split = _split(Photos(5))
    found = digests.image_digests(store, split, "photos", Silent())
    assert split.images.n_reads == 5
    np.testing.assert_array_equal(digests.image_digests(store, split, "photos", Silent()), found)
    assert split.images.n_reads == 5


def test_digests_of_other_images_are_computed(store):
    digests.image_digests(store, _split(Photos(5)), "photos", Silent())
    other = _split(Photos(5), name="others")
    digests.image_digests(store, other, "photos", Silent())
    assert other.images.n_reads == 5


def test_digests_are_computed_again_with_another_pillow(store, monkeypatch):
    """Another version may decode other pixels."""
    split = _split(Photos(5))
    digests.image_digests(store, split, "photos", Silent())
    monkeypatch.setattr(digests.metadata, "version", lambda name: f"{name} 99")
    digests.image_digests(store, split, "photos", Silent())
    assert split.images.n_reads == 10


def mean(image):
    return np.array([image.mean(), 1.0], dtype=np.float32)


BASELINE = FeatureBaseline(name="mean", summary="Mean.", requires=("numpy",), extract=mean)


class Sets:
    """Baseline features next to a backbone's, for splits of photos."""

    def __init__(self, config):
        self.config = config

    def __call__(self, train, test, *, baseline=BASELINE, rows=None, strict=False):
        with RunContext.opened(replace(self.config, strict=strict), Silent()) as context:
            context.dataset = replace(context.dataset, train=train, test=test)
            parts = [
                step.extract_split(context, split, title)
                for split, title in ((train, "train"), (test, "test"))
            ]
            if rows is not None:
                parts = [replace(part, index=part.index[rows]) for part in parts]
            (_, found) = step.feature_sets(context, (baseline,), *parts)
            return found


@pytest.fixture
def sets_of(config):
    return Sets(config)


def test_baseline_rows_are_those_of_the_labels(sets_of):
    """Images that cannot be read are left out on both sides."""
    train = _split(Photos(10, bad={2, 7}), name="a")
    found = sets_of(train, _split(Photos(6), name="b"))
    of_train, of_test = found.matrices()
    np.testing.assert_array_equal(of_train[:, 0], [0, 1, 3, 4, 5, 6, 8, 9])
    np.testing.assert_array_equal(of_test[:, 0], range(6))


def test_an_image_that_can_be_read_by_now_moves_no_row(sets_of):
    """Features from the store lack it; its row would shift all labels behind it."""
    images = Photos(10, bad={2, 7})
    found = sets_of(_split(images, name="a"), _split(Photos(6), name="b"))
    images.bad = {7}
    np.testing.assert_array_equal(found.matrices()[0][:, 0], [0, 1, 3, 4, 5, 6, 8, 9])


@pytest.mark.parametrize("later", [{2, 3}, {3}], ids=["fewer", "as many, but others"])
def test_an_image_that_can_no_longer_be_read_is_an_error(sets_of, later):
    """Equal counts are not equal rows: labels must not slip in silence."""
    images = Photos(10, bad={2})
    found = sets_of(_split(images, name="a"), _split(Photos(6), name="b"))
    images.bad = later
    with pytest.raises(DataError, match=r"^1 images can no longer.*photo 3 is cut short\. Restore"):
        found.matrices()


def test_the_name_of_a_baseline_is_in_its_key(sets_of):
    splits = _split(Photos(10), name="a"), _split(Photos(6), name="b")
    other = replace(BASELINE, name="other")
    assert sets_of(*splits).identity != sets_of(*splits, baseline=other).identity


@pytest.mark.parametrize("changed", [0, 1], ids=["train", "test"])
def test_the_images_are_in_a_baselines_key(sets_of, changed):
    splits = [_split(Photos(10), name="a"), _split(Photos(6), name="b")]
    before = sets_of(*splits).identity
    splits[changed] = _split(Photos(len(splits[changed])), name="c")
    assert sets_of(*splits).identity != before


@pytest.mark.parametrize("changed", [0, 1], ids=["train", "test"])
def test_the_rows_are_in_a_baselines_key(sets_of, changed):
    """The same images, of which another one can be read."""
    identities = set()
    for bad in ({1}, {2}):
        unreadable = [(), ()]
        unreadable[changed] = bad
        train, test = (
            _split(Photos(n, bad=missing), name=title)
            for n, missing, title in zip((10, 6), unreadable, "ab", strict=True)
        )
        sets_of.config = replace(sets_of.config, cache=False)  # each extraction reads the images
        identities.add(sets_of(train, test).identity)
    assert len(identities) == 2


@pytest.mark.parametrize("name", ["tlbench", "pillow", "numpy"])
def test_versions_are_in_a_baselines_key(sets_of, monkeypatch, name):
    """Those of tlbench, of the decoder, and of what the baseline requires."""
    splits = _split(Photos(10), name="a"), _split(Photos(6), name="b")
    before = sets_of(*splits).identity
    original = metadata.version
    monkeypatch.setattr(
        step.metadata, "version", lambda asked: "99" if asked == name else original(asked)
    )
    assert sets_of(*splits).identity != before
