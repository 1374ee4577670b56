"""Fine and coarse labels of one set of images."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

from tlbench.workflows import RunConfig, run_benchmark


@pytest.fixture
def cifar100(tmp_path):
    """CIFAR-100 in its own format: 4 fine classes of 12 + 6 images, two of them to a coarse one."""
    folder = tmp_path / "data" / "cifar-100-python"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name, n in (("train", 48), ("test", 24)):
        fine = [i % 4 for i in range(n)]
        rows = rng.integers(0, 60, (n, 3072)) + 60 * np.array(fine)[:, None]
        content = {
            "data": rows.astype(np.uint8),
            "fine_labels": fine,
            "coarse_labels": [label // 2 for label in fine],
        }
        (folder / name).write_bytes(pickle.dumps(content, protocol=4))
    meta = {"fine_label_names": list("abcd"), "coarse_label_names": ["ab", "cd"]}
    (folder / "meta").write_bytes(pickle.dumps(meta, protocol=4))
    return tmp_path / "data"


@pytest.fixture
def config(tiny_path, tmp_path, cifar100):
    return RunConfig(
        model=str(tiny_path),
        dataset="cifar100",
        data_dir=cifar100,
        heads=("centroid",),
        baselines=(),
        latency=False,
        cache_dir=tmp_path / "cache",
    )


def test_a_run_on_fine_labels_has_the_coarse_accuracy(config):
    """It is that of the group of each saved prediction."""
    outcome = run_benchmark(config)
    (result,) = outcome.result.accuracy
    (grouped,) = result.grouped
    predicted, labels = outcome.predictions["backbone.centroid"], outcome.predictions["labels"]
    assert (grouped.grouping, grouped.n_groups) == ("coarse", 2)
    assert grouped.n_correct == int((predicted // 2 == labels // 2).sum()) >= result.n_correct


def test_coarse_labels_share_the_features_of_the_fine_ones(config):
    """The images are the same, so the network does not run again."""
    run_benchmark(config)
    coarse = run_benchmark(replace(config, dataset="cifar100-coarse")).result
    assert [one.from_store for one in coarse.extraction] == [True, True]
    assert not coarse.accuracy[0].from_store
    assert coarse.accuracy[0].grouped == ()
    assert len(coarse.accuracy[0].per_class) == 2


def test_what_is_in_the_store_has_everything(config):
    """A result from the store says as much as a fitted one."""
    first = run_benchmark(config).result.accuracy[0]
    second = run_benchmark(config).result.accuracy[0]
    assert second == replace(first, from_store=True)
    assert second.metrics is not None
