"""Maps of features: the same every time, and judged as scikit-learn would."""

import numpy as np
import pytest
from sklearn.manifold import trustworthiness
from sklearn.neighbors import NearestNeighbors

from tlbench.features import pca_map, tsne_map
from tlbench.features.embedding import faithfulness, principal_components

K = 15


@pytest.fixture(scope="module")
def features():
    """Three groups of 60 images in 40 dimensions."""
    generator = np.random.default_rng(0)
    centres = 4 * generator.normal(size=(3, 40))
    rows = np.concatenate([centre + generator.normal(size=(60, 40)) for centre in centres])
    return rows.astype(np.float32)


def test_components_are_those_of_a_singular_value_decomposition(features):
    """Up to the sign of each, whether there are more images or more features."""
    for rows in (features, features[:20]):
        centred = rows - rows.mean(axis=0)
        left, values, _ = np.linalg.svd(centred.astype(np.float64), full_matrices=False)
        expected, found = (left * values)[:, :5], principal_components(rows, 5)
        # float32 products add up to this much
        np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-3)


def test_faithfulness_is_that_of_scikit_learn(features):
    points = principal_components(features, 2)
    recall, trust, n_judged = faithfulness(features, points)
    near = [
        NearestNeighbors(n_neighbors=K).fit(rows).kneighbors(return_distance=False)
        for rows in (features, points)
    ]
    shared = [len(set(a) & set(b)) for a, b in zip(*map(np.ndarray.tolist, near), strict=True)]
    assert recall == pytest.approx(np.mean(shared) / K)
    assert trust == pytest.approx(trustworthiness(features, points, n_neighbors=K))
    assert n_judged == len(features)


def test_a_perfect_map_is_perfectly_faithful(features):
    plane = features[:, :2]
    assert faithfulness(plane, plane) == (1.0, 1.0, len(plane))


def test_equal_images_do_not_upset_it(features):
    """Duplicates are at distance zero from one another."""
    twice = np.concatenate([features, features])
    recall, trust, _ = faithfulness(twice, principal_components(twice, 2))
    assert 0 < recall <= 1
    assert 0 < trust <= 1


def test_too_few_images_are_not_judged(features):
    assert faithfulness(features[:20], features[:20, :2]) == (None, None, 0)


def test_a_map_of_constant_features_is_finite():
    found = pca_map(np.ones((50, 8), dtype=np.float32))
    assert set(found.points) == {(0.0, 0.0)}


def test_tsne_is_the_same_every_time(features, recorder):
    """To the last bit; and it keeps groups apart that PCA keeps apart."""
    pytest.importorskip("openTSNE", reason="needs openTSNE: pip install 'tlbench[report]'")
    first, second = (tsne_map(features, recorder) for _ in range(2))
    assert first == second
    assert first.method == "t-SNE"
    assert first.trustworthiness > 0.8
    assert recorder.tasks[0] == ("t-SNE of 180 images", 750, "steps")
    assert recorder.steps == 1500
    assert recorder.running == 0


@pytest.mark.parametrize("shape", [(20, 1), (1, 5), (1, 1), (2, 1)])
def test_features_that_span_no_plane_lie_on_a_line(shape):
    features = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    found = pca_map(features)
    assert len(found.points) == shape[0]
    assert {y for _, y in found.points} == {0.0}
