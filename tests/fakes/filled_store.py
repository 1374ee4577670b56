"""What processes of their own do to a store: a module that they can import by its name."""

import numpy as np

from tlbench.features import ArrayStore

ARRAY = np.arange(12, dtype=np.float32).reshape(3, 4)


class Damages(list):
    """Collects the messages about damaged entries."""

    __call__ = list.append


def fill(store, key="ab" * 32, array=ARRAY):
    """Write an entry, and return its key."""
    with store.writing("features", key, {"model": "m"}) as entry:
        entry.save("features", array)
        entry.commit({"elapsed_s": 1.5})
    return key


def write_entry(root, key):
    """Write an entry into the store of a folder."""
    fill(ArrayStore(root, on_damage=print), key)


def read_damaged(root, key, barrier):
    """Wait for the others, look for a damaged entry, and return how often the user was told."""
    damages = Damages()
    store = ArrayStore(root, on_damage=damages)
    barrier.wait()
    assert store.get("features", key) is None
    return len(damages)
