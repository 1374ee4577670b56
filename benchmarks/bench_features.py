"""The feature store: what a hit costs, and what a miss costs beside computing the features."""

import itertools

import numpy as np
import pytest
from alternate import run_warm

from tlbench.features import ArrayStore, content_key

SHAPE = (1797, 1280)  # digits through EfficientNet-Lite0: 9.2 MB


def no_damage(message):
    raise AssertionError(message)


@pytest.fixture(scope="module")
def features():
    return np.random.default_rng(0).standard_normal(SHAPE, dtype=np.float32)


@pytest.fixture
def store(tmp_path):
    return ArrayStore(tmp_path / "store", on_damage=no_damage)


def write(store, key, features):
    with store.writing("features", key, {"model": "benchmark"}) as entry:
        entry.save("features", features)
        entry.commit({"elapsed_s": 1.0})


def test_hit(benchmark, note, store, features):
    """Seconds to look up an entry, check every byte against its hash and read it all."""
    key = content_key({"entry": 0})
    write(store, key, features)
    note(n_bytes=features.nbytes)

    def hit():
        return store.get("features", key).arrays["features"].sum()

    total = run_warm(benchmark, hit)
    assert total == features.sum()


def test_miss(benchmark, note, store, features):
    """Seconds to look up in vain, write the features, hash them and make them visible.

    The bytes reach the page cache, not necessarily the disk.
    """
    note(n_bytes=features.nbytes)
    numbers = itertools.count()

    def miss():
        key = content_key({"entry": next(numbers)})
        assert store.get("features", key) is None
        write(store, key, features)
        return key

    key = run_warm(benchmark, miss, max_rounds=40)
    np.testing.assert_array_equal(store.get("features", key).arrays["features"], features)


def test_absent(benchmark, store):
    """Seconds to learn that there is no entry."""
    key = content_key({"entry": "absent"})
    assert run_warm(benchmark, lambda: store.get("features", key)) is None
