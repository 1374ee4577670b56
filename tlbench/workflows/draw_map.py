"""The t-SNE map of a saved run's test images, drawn when it is asked for."""

from pathlib import Path

from tlbench.core.errors import StorageError
from tlbench.core.progress import Listener
from tlbench.features import ArrayStore
from tlbench.records import RunImages, RunResult
from tlbench.workflows.config import default_cache_dir
from tlbench.workflows.steps.images import stored_map


def draw_map(run: RunResult, images: RunImages, listener: Listener) -> RunImages:
    """Return the images of a run with a t-SNE map, if its features are still in the cache.

    They are looked for in the cache folder of the run, and then in the current one. Where neither
    has them, or openTSNE is not installed, the images are returned as they are.
    """
    if images.has_tsne:
        return images
    recorded = run.config.requested.get("cache_dir")
    folders = [*([Path(recorded)] if isinstance(recorded, str) else []), default_cache_dir()]
    for folder in dict.fromkeys(folders):
        if not (folder / "store").is_dir():
            continue
        try:
            store = ArrayStore(folder / "store", on_damage=listener.warn)
            found = stored_map(store, images.document, listener)
        except StorageError as error:  # another user's cache
            listener.warn(str(error))
            continue
        if found is not None:
            return images.with_map(found)
    return images
