"""What the preprocessing inside the graph costs: 32 px bytes to the 224 px the network takes."""

import onnx
import pytest
from alternate import THREADS, alternate, run_warm
from onnx.utils import Extractor

from tlbench.engine import open_session
from tlbench.model import OnnxModel

NETWORK_INPUT = "network_input"  # where the preprocessing ends in an exported EfficientNet-Lite
N_BLOCKS = 15


@pytest.fixture(scope="module")
def halves(model, tmp_path_factory):
    """Sessions of the preprocessing alone and of the network alone, cut from the same file."""
    folder = tmp_path_factory.mktemp("halves")
    extractor = Extractor(onnx.shape_inference.infer_shapes(onnx.load(model.path)))
    cuts = {"preprocessing": ("images", NETWORK_INPUT), "network": (NETWORK_INPUT, "features")}
    for name, (start, end) in cuts.items():
        onnx.save(extractor.extract_model([start], [end]), folder / f"{name}.onnx")
    with (
        open_session(OnnxModel(folder / "preprocessing.onnx"), threads=THREADS) as preprocessing,
        open_session(OnnxModel(folder / "network.onnx"), threads=THREADS) as network,
    ):
        yield preprocessing, network


@pytest.mark.parametrize("batch_size", [1, 32], ids="batch={}".format)
def test_share_of_preprocessing(benchmark, note, session, halves, images, batch_size):
    """Seconds that a call takes longer with the preprocessing in the graph than without."""
    batch = images[:batch_size]
    preprocessing, network = halves
    pixels = preprocessing._session.run(None, {"images": batch})[0]
    assert pixels.shape == (batch_size, 3, 224, 224)
    assert (network.run(pixels) == session.run(batch)).all()
    sides = {"whole": lambda: session.run(batch), "network": lambda: network.run(pixels)}
    blocks = alternate(sides, n_blocks=N_BLOCKS, calls=20 if batch_size == 1 else 2)
    cost, ratio = blocks.difference("whole", to="network"), blocks.ratio("whole", to="network")
    note(
        session,
        batch_size=batch_size,
        preprocessing_s=cost.median,
        preprocessing_s_low=cost.low,
        preprocessing_s_high=cost.high,
        ratio=ratio.median,
        **blocks.facts(),
    )
    print(
        f"\npreprocessing, batch {batch_size}: {1e3 * cost.median:.3f} ms "
        f"[{1e3 * cost.low:.3f}, {1e3 * cost.high:.3f}] of a call; whole / network alone: {ratio}"
    )
    run_warm(benchmark, lambda: preprocessing._session.run(None, {"images": batch}))
