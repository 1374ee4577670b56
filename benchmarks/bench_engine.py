"""What the engine costs over ONNX Runtime itself."""

import numpy as np
import pytest
from alternate import alternate, run_warm

from tlbench.engine import extract_features
from tlbench.features import RowWriter

BATCH_SIZE = 32
N_BLOCKS = 11


@pytest.mark.parametrize("batch_size", [1, 8, 32], ids="batch={}".format)
def test_session(benchmark, note, session, images, batch_size):
    """Seconds for one call of a warm session on the CPU, two threads."""
    note(session, batch_size=batch_size)
    batch = images[:batch_size]
    features = run_warm(benchmark, lambda: session.run(batch))
    assert features.shape == (batch_size, 1280)


def test_extraction_against_the_bare_loop(benchmark, note, session, images, tmp_path):
    """Ratio of extraction into a file to the bare loop over the same batches."""
    kept = {}

    def extraction():
        with RowWriter(tmp_path / "features.npy", len(images)) as writer:
            extract_features(session.run, images, sink=writer.write, batch_size=BATCH_SIZE)
            writer.finish()

    def bare():
        run, name = session._session.run, session.model.inputs[0].name
        kept["bare"] = [
            run(["features"], {name: images[start : start + BATCH_SIZE]})[0]
            for start in range(0, len(images), BATCH_SIZE)
        ]

    # no pause: both sides are the same session, whose threads may go on spinning
    blocks = alternate(
        {"extraction": extraction, "bare": bare}, n_blocks=N_BLOCKS, calls=1, pause_s=0
    )
    np.testing.assert_array_equal(np.load(tmp_path / "features.npy"), np.concatenate(kept["bare"]))
    ratio = blocks.ratio("extraction", to="bare")
    note(session, ratio=ratio.median, ratio_low=ratio.low, ratio_high=ratio.high, **blocks.facts())
    print(f"\nextraction / bare loop: {ratio} of {len(images)} images, batch {BATCH_SIZE}")
    benchmark.pedantic(extraction, rounds=5)
