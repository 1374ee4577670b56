"""What the engine costs over ONNX Runtime itself.

The paired benchmark alternates both sides in one process: the only fair comparison on a machine
whose speed drifts.
"""

import statistics
import time

import numpy as np
import pytest

from tlbench.engine import extract_features
from tlbench.features import RowWriter

BATCH_SIZE = 32
N_PAIRS = 15


@pytest.mark.parametrize("batch_size", [1, 8, 32], ids="batch={}".format)
def test_session(benchmark, session, images, batch_size):
    """Seconds for one call of a warm session on the CPU."""
    benchmark.extra_info.update(batch_size=batch_size, model_sha256=session.model.sha256)
    batch = images[:batch_size]
    session.run(batch)  # pytest-benchmark calibrates on the first call it sees
    features = benchmark(session.run, batch)
    assert features.shape == (batch_size, 1280)


def bare_loop(session, images):
    """Run the batches as anyone would write it down."""
    run, name = session._session.run, session.model.inputs[0].name
    return [
        run(["features"], {name: images[start : start + BATCH_SIZE]})[0]
        for start in range(0, len(images), BATCH_SIZE)
    ]


def test_extraction_against_the_bare_loop(benchmark, session, images, tmp_path):
    """Ratio of extraction into a file to the bare loop over the same batches, pair by pair."""
    kept = {}

    def extraction():
        with RowWriter(tmp_path / "features.npy", len(images)) as writer:
            extract_features(session.run, images, sink=writer.write, batch_size=BATCH_SIZE)
            writer.finish()

    def bare():
        kept["bare"] = bare_loop(session, images)

    def seconds(function):
        started = time.perf_counter()
        function()
        return time.perf_counter() - started

    extraction(), bare()
    ratios = []
    for pair in range(N_PAIRS):
        # who goes first alternates, so that a drift of the machine favours neither
        sides = (extraction, bare) if pair % 2 else (bare, extraction)
        times = {side: seconds(side) for side in sides}
        ratios.append(times[extraction] / times[bare])
    np.testing.assert_array_equal(np.load(tmp_path / "features.npy"), np.concatenate(kept["bare"]))
    median = statistics.median(ratios)
    benchmark.extra_info.update(
        ratio_median=median, ratio_min=min(ratios), ratio_max=max(ratios), n_pairs=N_PAIRS
    )
    print(
        f"\nextraction / bare loop: median {median:.3f}, "
        f"{min(ratios):.3f} to {max(ratios):.3f}, {N_PAIRS} pairs of {len(images)} images"
    )
    benchmark.pedantic(extraction, rounds=1)
