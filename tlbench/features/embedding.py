"""Features in two dimensions: t-SNE where openTSNE is installed, or PCA; and how faithful it is."""

from importlib.util import find_spec
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tlbench.core.arrays import FloatArray
from tlbench.core.progress import Listener, task
from tlbench.records import CodeMap

# Without them, openTSNE takes six times as long for 10,000 rows, for the same recall.
N_COMPONENTS: Final = 50
N_NEIGHBOURS: Final = 15
LEAST_IMAGES: Final = 3 * N_NEIGHBOURS
# Each image is compared with each other one: at most these many, drawn by seed.
_MOST_JUDGED: Final = 2000
# Images or features up to which components are exact; beyond, they are found by random projections.
_MOST_EXACT: Final = 4096
# Values that are held at once, 1 GB: of larger feature maps there is no map.
MOST_VALUES: Final = 2**28
_SEED: Final = 0
_PERPLEXITY: Final = 30.0
_N_ITERATIONS: Final = (250, 500)
_REPORT_EVERY: Final = 25


def has_tsne() -> bool:
    """Tell whether openTSNE is installed: ``pip install 'tlbench[report]'``."""
    return find_spec("openTSNE") is not None


def pca_map(features: FloatArray) -> CodeMap:
    """Return the first two principal components of features, float32 (n, n_features)."""
    return _judged("PCA", features, principal_components(features, 2), 2)


def tsne_map(features: FloatArray, listener: Listener) -> CodeMap:
    """Return a t-SNE map of features, float32 (n, n_features): the same one every time.

    From the first 50 principal components, on one thread: with more, sums have another order, and
    it was seen to be slower.
    """
    from openTSNE import TSNE

    components = principal_components(features, N_COMPONENTS)
    early, late = _N_ITERATIONS

    def advance(*_: Any) -> None:
        listener.advance(_REPORT_EVERY)

    with task(listener, f"t-SNE of {len(features):,} images", early + late, "steps"):
        found = TSNE(
            perplexity=min(_PERPLEXITY, (len(features) - 1) / 3),
            early_exaggeration_iter=early,
            n_iter=late,
            n_jobs=1,
            random_state=_SEED,
            callbacks=advance,
            callbacks_every_iters=_REPORT_EVERY,
        ).fit(components)
    return _judged("t-SNE", features, np.asarray(found), components.shape[1])


def principal_components(features: FloatArray, n_components: int) -> NDArray[np.float64]:
    """Return the rows of *features* in their first principal components, (n, n_components)."""
    from sklearn.decomposition import PCA
    from threadpoolctl import threadpool_limits

    n_components = min(n_components, *features.shape)
    is_small = min(features.shape) <= _MOST_EXACT
    # On one thread, so that sums have the same order on every machine.
    # Constant features have no variance to take shares of.
    with threadpool_limits(limits=1, user_api="blas"), np.errstate(invalid="ignore"):
        solver = PCA(
            n_components,
            svd_solver="full" if is_small else "randomized",
            random_state=_SEED,
        )
        if is_small and features.shape[0] > features.shape[1]:
            solver.set_params(svd_solver="covariance_eigh")
        return np.asarray(solver.fit_transform(features), dtype=np.float64)


def _judged(
    method: Any,  # noqa: ANN401 - a literal
    features: FloatArray,
    points: NDArray[np.floating],
    n_components: int,
) -> CodeMap:
    """Return the record of a map; four digits place a point to less than a pixel."""
    if points.shape[1] < 2:  # noqa: PLR2004 - one feature, or one image: a line
        points = np.pad(points, ((0, 0), (0, 2 - points.shape[1])))
    recall, trust, n_judged = faithfulness(features, points)
    scale = float(np.abs(points).max()) or 1.0
    return CodeMap(
        method=method,
        points=tuple((x, y) for x, y in np.round(points / scale, 4).tolist()),
        seed=_SEED,
        n_features=features.shape[1],
        n_components=n_components,
        recall_fraction=recall,
        trustworthiness=trust,
        n_neighbours=N_NEIGHBOURS,
        n_judged=n_judged,
    )


def faithfulness(
    features: FloatArray, points: NDArray[np.floating]
) -> tuple[float | None, float | None, int]:
    """Return recall of neighbours, trustworthiness, and the number of images they rest on.

    Both compare the 15 nearest images by Euclidean distance of *features* (n, n_features) and of
    *points* (n, 2). Trustworthiness is that of Venna and Kaski (2001),
    doi:10.1007/3-540-44668-0_68. None for both if there are too few images for it.
    """
    n_images = len(features)
    if n_images < LEAST_IMAGES:
        return None, None, 0
    if n_images > _MOST_JUDGED:
        chosen = np.sort(np.random.default_rng(_SEED).permutation(n_images)[:_MOST_JUDGED])
        features, points, n_images = features[chosen], points[chosen], _MOST_JUDGED
    order = np.argsort(_distances(features), axis=1, kind="stable")
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.arange(n_images)[None, :], axis=1)  # 0 is the image itself
    near = np.argsort(_distances(points), axis=1, kind="stable")[:, 1 : N_NEIGHBOURS + 1]
    ranks = np.take_along_axis(rank, near, axis=1)
    k = N_NEIGHBOURS
    recall = float(np.mean((ranks >= 1) & (ranks <= k)))
    worst = n_images * k * (2 * n_images - 3 * k - 1) / 2
    trust = 1.0 - float(np.maximum(ranks - k, 0).sum()) / worst
    return recall, trust, n_images


def _distances(rows: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return squared distances between all rows; each row comes first in its own order."""
    rows = np.asarray(rows, dtype=np.float64)
    squares = (rows * rows).sum(axis=1)
    found: NDArray[np.float64] = squares[:, None] + squares[None, :] - 2 * rows @ rows.T
    np.fill_diagonal(found, -np.inf)
    return found
