"""A folder of JPEG photographs to features: tlbench against a loop written by hand."""

import numpy as np
from alternate import alternate, run_warm
from PIL import Image

from tlbench.datasets import ImageFiles
from tlbench.engine import extract_features

N_PHOTOS, SIZE, BATCH = 500, (500, 375), 32
N_BLOCKS = 7
LEAST = 0.95


def save_photographs(folder):
    """Write JPEGs as large as a photograph's: smooth shapes with grain, each different."""
    rng = np.random.default_rng(0)
    for number in range(N_PHOTOS):
        shapes = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8))
        image = np.asarray(shapes.resize(SIZE, Image.Resampling.BICUBIC)).astype(np.int16)
        grain = rng.integers(-12, 13, image.shape)
        pixels = (image + grain).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:03}.jpg", quality=90)
    return tuple(sorted(folder.iterdir()))


def test_photographs(benchmark, note, session, tmp_path):
    """Images/s of `extract_features` over those of a loop with the same decoder and session.

    The loop decodes a batch, stacks it and runs it, as one writes it in a notebook.
    """
    photographs = ImageFiles(save_photographs(tmp_path))
    features = {}

    def ours():
        found = np.empty((N_PHOTOS, 1280), np.float32)

        def sink(index, rows):
            found[index] = rows

        extract_features(session.run, photographs, sink=sink, batch_size=BATCH)
        features["tlbench"] = found

    def loop():
        rows = []
        for start in range(0, N_PHOTOS, BATCH):
            batch = np.stack([photographs[i] for i in range(N_PHOTOS)[start : start + BATCH]])
            rows.append(session.run(batch))
        features["loop"] = np.concatenate(rows)

    blocks = alternate({"tlbench": ours, "loop": loop}, n_blocks=N_BLOCKS, calls=1, warm_up_s=0)
    np.testing.assert_array_equal(features["tlbench"], features["loop"])
    ratio = blocks.ratio("loop", to="tlbench")  # of times: how many times as many images/s
    run_warm(benchmark, ours, max_rounds=3)
    note(session, images_s_ratio=ratio.median, n_images=N_PHOTOS, **blocks.facts())
    print(f"\nphotographs: {ratio} times the images/s of the loop")
    assert ratio.median >= LEAST
