"""Small images that can be told apart, listeners that end a training, and what counts of it."""

from dataclasses import replace

import numpy as np

from tlbench.core.progress import Silent
from tlbench.model import LabelledImages

SIZE = 10  # the least that four convolutions take


def toy(n, *, seed=0, size=SIZE, n_classes=3):
    """Return images whose brightness is that of their class, under noise."""
    generator = np.random.default_rng(seed)
    labels = (np.arange(n) % n_classes).astype(np.int64)
    noise = generator.normal(60, 25, (n, size, size, 3))
    images = np.clip(noise + 45 * labels[:, None, None, None], 0, 255).astype(np.uint8)
    return LabelledImages(images=images, labels=labels)


class Killed(BaseException):
    """The end of the process, as far as the code under test can see."""


class KilledAfter(Silent):
    """Ends a training after so many steps."""

    def __init__(self, n_steps):
        self.left = n_steps
        self.is_training = False

    def start(self, task, total=None, unit=""):
        self.is_training = task.startswith("epoch ")

    def advance(self, steps=1):
        self.left -= self.is_training
        if self.is_training and self.left == 0:
            raise Killed


def figures(record):
    """Return what a resumed training must have again of each epoch: all but times and memory."""
    times = {"elapsed_s": 0, "images_per_s": 0, "peak_rss_bytes": 0, "device_peak_bytes": None}
    return [replace(epoch, **times) for epoch in record.epochs]
