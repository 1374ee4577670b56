"""The store: whole entries, checked on reading, shared between processes."""

import multiprocessing
import os

import numpy as np
import pytest

from tlbench.core.errors import StorageError
from tlbench.features import ArrayStore, check_npz_path, content_key, save_npz

ARRAY = np.arange(12, dtype=np.float32).reshape(3, 4)


class Damages(list):
    """Collects the messages about damaged entries."""

    __call__ = list.append


@pytest.fixture
def store(tmp_path):
    damages = Damages()
    store = ArrayStore(tmp_path / "store", on_damage=damages)
    store.damages = damages
    return store


def fill(store, key="ab" * 32, array=ARRAY):
    with store.writing("features", key, {"model": "m"}) as entry:
        entry.save("features", array)
        entry.commit({"elapsed_s": 1.5})
    return key


def test_an_entry_comes_back(store):
    stored = store.get("features", fill(store))
    np.testing.assert_array_equal(stored.arrays["features"], ARRAY)
    assert stored.meta == {"elapsed_s": 1.5}
    assert not stored.arrays["features"].flags.writeable
    assert store.damages == []


def test_an_absent_entry_is_none(store):
    assert store.get("features", "cd" * 32) is None


def test_an_entry_without_commit_leaves_nothing(store):
    with store.writing("features", "ab" * 32, {}) as entry:
        entry.save("features", ARRAY)
    assert store.get("features", "ab" * 32) is None
    assert [path for path in store.root.rglob("*") if path.is_file()] == []


def test_an_error_while_writing_leaves_nothing(store):
    with pytest.raises(AttributeError), store.writing("features", "ab" * 32, {}) as entry:
        entry.save("features", None.no_array)
    assert [path for path in store.root.rglob("*") if path.is_file()] == []


def flip_a_byte(folder):
    path = folder / "features.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def truncate(folder):
    path = folder / "features.npy"
    path.write_bytes(path.read_bytes()[:-4])


@pytest.mark.parametrize(
    "damage",
    [
        flip_a_byte,
        truncate,
        lambda folder: (folder / "features.npy").unlink(),
        lambda folder: (folder / "meta.json").unlink(),
        lambda folder: (folder / "meta.json").write_text("{"),
        lambda folder: (folder / "meta.json").write_text("[]"),
        lambda folder: (folder / "meta.json").write_text('{"sha256": 3}'),
    ],
    ids=["flipped", "truncated", "no array", "no meta", "half meta", "list", "wrong type"],
)
def test_a_damaged_entry_is_reported_deleted_and_can_be_made_again(store, damage):
    key = fill(store)
    (folder,) = (path.parent for path in store.root.rglob("meta.json"))
    damage(folder)
    assert store.get("features", key) is None
    (message,) = store.damages
    assert str(folder) in message
    assert "computed again" in message
    assert not folder.exists()
    fill(store, key)
    assert store.get("features", key) is not None


def test_who_comes_second_drops_its_copy(store):
    """Two writers of one entry: one wins, both can read, nothing is left over."""
    key = "ab" * 32
    with store.writing("features", key, {}) as slow:
        slow.save("features", ARRAY)
        fill(store, key)
        slow.commit({"elapsed_s": 99})
    assert store.get("features", key).meta == {"elapsed_s": 1.5}
    assert len(list(store.root.rglob("*.npy"))) == 1


def _write(root, key):
    fill(ArrayStore(root, on_damage=print), key)


def test_processes_may_share_a_store(tmp_path):
    """Several processes write the same and other entries at once."""
    root, keys = tmp_path / "store", [f"{i % 3:02x}" * 32 for i in range(9)]
    context = multiprocessing.get_context("spawn")
    with context.Pool(3) as pool:
        pool.starmap(_write, [(root, key) for key in keys])
    damages = Damages()
    store = ArrayStore(root, on_damage=damages)
    assert all(store.get("features", key) is not None for key in keys)
    assert damages == []
    assert len(list(root.rglob("*.npy"))) == 3


def test_a_store_that_cannot_be_written_says_what_to_do(tmp_path):
    """A file stands where the folder should be (root may write anywhere, so no permissions)."""
    (tmp_path / "store").write_text("in the way")
    store = ArrayStore(tmp_path / "store", on_damage=print)
    with pytest.raises(StorageError, match="cache_dir"):
        fill(store)


@pytest.mark.skipif(os.geteuid() == 0, reason="root ignores permissions")
def test_a_read_only_store_says_what_to_do(tmp_path):
    (tmp_path / "store").mkdir(mode=0o500)
    with pytest.raises(StorageError, match="cache=False"):
        fill(ArrayStore(tmp_path / "store", on_damage=print))


def test_every_part_changes_the_key():
    parts = {"model": "a", "split": "b", "provider_options": {"x": "1"}}
    keys = {content_key(parts)}
    keys |= {content_key(parts | {name: "other"}) for name in parts}
    assert len(keys) == 4


def test_npz_has_the_arrays(tmp_path):
    save_npz(tmp_path / "a.npz", {"features": ARRAY, "labels": np.arange(3)})
    loaded = np.load(tmp_path / "a.npz")
    assert sorted(loaded.files) == ["features", "labels"]
    np.testing.assert_array_equal(loaded["features"], ARRAY)
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


@pytest.mark.parametrize("name", ["a.csv", "a", "missing/a.npz"])
def test_a_bad_npz_path_is_refused(tmp_path, name):
    from tlbench.core.errors import ConfigError

    with pytest.raises(ConfigError, match=r"\.npz|does not exist"):
        check_npz_path(tmp_path / name)
