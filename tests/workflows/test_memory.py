"""Memory does not grow with the number of images."""

import subprocess
import sys

import pytest

# Each image has 16 kB of features: kept in memory, 5,000 of them would be 80 MB.
PROGRAM = """
import resource, sys, tempfile
from pathlib import Path
import numpy as np
from tlbench.engine import extract_features
from tlbench.features import RowWriter

class Images:
    def __len__(self):
        return int(sys.argv[1])
    def __getitem__(self, index):
        return np.full((32, 32, 3), index % 256, np.uint8)

run = lambda batch: np.repeat(batch[:, 0, 0, :1], 4096, axis=1).astype(np.float32)
with tempfile.TemporaryDirectory() as folder:
    with RowWriter(Path(folder) / "features.npy", len(Images())) as writer:
        extract_features(run, Images(), sink=writer.write, batch_size=32)
        writer.finish()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in kilobytes on Linux only")
def test_peak_memory_of_5000_images_is_that_of_500():
    def peak_mb(n_images):
        command = [sys.executable, "-c", PROGRAM, str(n_images)]
        return int(subprocess.check_output(command)) / 1024

    assert peak_mb(5000) - peak_mb(500) < 50
