"""The store: whole entries, checked on reading, shared between processes."""

import errno
import multiprocessing
import os
import resource
import shutil
import stat
from pathlib import Path

import numpy as np
import pytest
from filled_store import ARRAY, Damages, fill, read_damaged, write_entry

from tlbench.core.errors import StorageError
from tlbench.features import ArrayStore, check_npz_path, content_key, save_npz


@pytest.fixture
def store(tmp_path):
    damages = Damages()
    store = ArrayStore(tmp_path / "store", on_damage=damages)
    store.damages = damages
    return store


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


@pytest.fixture
def no_free_descriptor():
    """Let this process open no further file."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)  # the lowest free number
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_too_many_open_files_are_no_damage(store, request):
    """The entry is sound: it is kept, and comes back when files can be opened again."""
    key = fill(store)
    request.getfixturevalue("no_free_descriptor")
    with pytest.raises(StorageError, match=r"was kept: Too many open files\. .*cache_dir"):
        store.get("features", key)
    resource.setrlimit(resource.RLIMIT_NOFILE, resource.getrlimit(resource.RLIMIT_NOFILE)[1:] * 2)
    np.testing.assert_array_equal(store.get("features", key).arrays["features"], ARRAY)
    assert store.damages == []


@pytest.mark.parametrize("name", ["meta.json", "features.npy"])
@pytest.mark.parametrize("code", ["EACCES", "EIO", "ENOMEM", "ESTALE", "EPERM"])
def test_what_the_system_refuses_is_no_damage(store, monkeypatch, name, code):
    """No permission, a failing disk, a lost network drive: nothing is deleted."""
    key, original = fill(store), Path.open
    number = getattr(errno, code)

    def refuse(path, *arguments, **options):
        if path.name == name:
            raise OSError(number, os.strerror(number), str(path))
        return original(path, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", refuse)
        with pytest.raises(StorageError, match=os.strerror(number)):
            store.get("features", key)
    assert store.get("features", key) is not None
    assert store.damages == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root ignores permissions")
@pytest.mark.parametrize("depth", [0, 1, 2])
def test_a_folder_that_may_not_be_entered_is_no_damage(store, depth):
    key = fill(store)
    folder = [store.root, store.root / "features", store.root / "features" / key[:2]][depth]
    folder.chmod(0)
    try:
        with pytest.raises(StorageError, match="Permission denied"):
            store.get("features", key)
    finally:
        folder.chmod(0o700)
    assert store.get("features", key) is not None


def test_an_entry_that_disappears_while_it_is_read_is_absent(store, monkeypatch):
    """Another process deletes the folder: there is nothing left to report or to delete."""
    key = fill(store)
    (folder,) = (path.parent for path in store.root.rglob("meta.json"))
    original = Path.read_text

    def vanish(path, *arguments, **options):
        shutil.rmtree(folder)
        return original(path, *arguments, **options)

    monkeypatch.setattr(Path, "read_text", vanish)
    assert store.get("features", key) is None
    assert store.damages == []


def test_an_entry_that_was_just_repaired_is_kept(store, monkeypatch):
    """Between finding the damage and deleting it, another process has written a sound entry."""
    key = fill(store)
    (folder,) = (path.parent for path in store.root.rglob("meta.json"))
    flip_a_byte(folder)
    original = Path.rename

    def repaired_before(path, target):
        monkeypatch.setattr(Path, "rename", original)
        shutil.rmtree(folder)
        fill(store, key)
        return path.rename(target)

    monkeypatch.setattr(Path, "rename", repaired_before)
    np.testing.assert_array_equal(store.get("features", key).arrays["features"], ARRAY)
    assert store.get("features", key) is not None
    assert store.damages == []
    assert [path.name for path in folder.parent.iterdir()] == [key]


def test_of_several_processes_one_deletes_a_damaged_entry(tmp_path):
    """All find the damage at once; none fails, and the user is told once."""
    store = ArrayStore(tmp_path / "store", on_damage=print)
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, context.Pool(3) as pool:
        for attempt in range(8):
            key = fill(store, f"{attempt:02x}" * 32, np.zeros((500, 500), np.float32))
            flip_a_byte(store.root / "features" / key[:2] / key)
            calls = [(store.root, key, manager.Barrier(3))] * 3
            assert sum(pool.starmap(read_damaged, calls, chunksize=1)) == 1
    assert [path for path in store.root.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(errno.ENOENT, "No such file or directory", "/data/of/a/plugin"),
        PermissionError(errno.EACCES, "Permission denied"),
        TimeoutError("a network drive"),
        OSError(errno.ENOSPC, "No space left on device"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_of_the_work_is_not_the_stores(store, error):
    """A plugin that misses a file of its own must not be told to choose another cache."""

    def work():
        with store.writing("features", "ab" * 32, {}) as entry:
            entry.save("features", ARRAY)
            raise error

    with pytest.raises(type(error)) as caught:
        work()
    assert caught.value is error
    assert [path for path in store.root.rglob("*") if path.is_file()] == []


@pytest.fixture
def full_disk():
    """Let no file of this process grow beyond 4 KiB."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def _save(entry, array):
    entry.save("features", array)


def _save_rows(entry, array):
    with entry.rows("features", len(array)) as writer:
        for start in range(0, len(array), 10):
            index = np.arange(start, min(start + 10, len(array)))
            writer.write(index, array[index])
        writer.finish()


@pytest.mark.usefixtures("full_disk")
@pytest.mark.parametrize("save", [_save, _save_rows])
@pytest.mark.parametrize("n_rows", [300, 2000])  # found when the file is closed, or earlier
def test_a_disk_that_fills_up_is_the_stores(store, save, n_rows):
    """Whoever writes into the entry, the error names the cache and the way out."""
    array = np.zeros((n_rows, 5), dtype=np.float32)

    def write():
        with store.writing("features", "ab" * 32, {}) as entry:
            save(entry, array)
            entry.commit({})

    with pytest.raises(StorageError, match=r"store cannot be written: .*(large|full).*cache_dir"):
        write()
    assert [path for path in store.root.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002], ids="umask={:03o}".format)
def test_umask_is_honoured(store, umask):
    """The cache is as private as the user wants all files to be, no more and no less."""
    before = os.umask(umask)
    try:
        fill(store)
    finally:
        os.umask(before)
    for path in store.root.rglob("*"):
        expected = 0o777 if path.is_dir() else 0o666
        assert stat.S_IMODE(path.stat().st_mode) == expected & ~umask


def test_who_comes_second_drops_its_copy(store):
    """Two writers of one entry: one wins, both can read, nothing is left over."""
    key = "ab" * 32
    with store.writing("features", key, {}) as slow:
        slow.save("features", ARRAY)
        fill(store, key)
        slow.commit({"elapsed_s": 99})
    assert store.get("features", key).meta == {"elapsed_s": 1.5}
    assert len(list(store.root.rglob("*.npy"))) == 1


def test_processes_may_share_a_store(tmp_path):
    """Several processes write the same and other entries at once."""
    root, keys = tmp_path / "store", [f"{i % 3:02x}" * 32 for i in range(9)]
    context = multiprocessing.get_context("spawn")
    with context.Pool(3) as pool:
        pool.starmap(write_entry, [(root, key) for key in keys])
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
