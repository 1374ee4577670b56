"""Extraction: every image gets its features, in its row, whatever happens around it."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlbench.core.errors import ConfigError, DataError, UnreadableImageError
from tlbench.engine import extract_features, open_session
from tlbench.engine.extract import chunks, load_batches, prefetch


class Collector:
    """A sink that keeps rows by position, and counts the calls."""

    def __init__(self):
        self.rows = {}
        self.batches = []

    def __call__(self, index, rows):
        assert len(index) == len(rows)
        self.batches.append(len(index))
        for position, row in zip(index.tolist(), rows, strict=True):
            assert position not in self.rows
            self.rows[position] = row

    def matrix(self):
        return np.stack([self.rows[i] for i in sorted(self.rows)])


class Partly:
    """Images of which some cannot be decoded."""

    def __init__(self, images, broken):
        self.images, self.broken = images, set(broken)

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        if index in self.broken:
            raise UnreadableImageError(f"image {index} is broken")
        return self.images[index]


def mean_color(batch):
    """A stand-in for a network: (N, 3) float32."""
    return batch.mean(axis=(1, 2), dtype=np.float64).astype(np.float32)


@pytest.mark.parametrize("batch_size", [1, 7, 32, 100, 1000], ids="batch={}".format)
def test_batch_size_does_not_change_features(tiny_model, images, batch_size):
    """However the images are cut into batches, each image keeps its features."""
    with open_session(tiny_model) as session:
        expected = session.run(images)
        sink = Collector()
        extract_features(session.run, images, sink=sink, batch_size=batch_size)
    # float32 sums in another order when the kernel changes with the batch shape
    np.testing.assert_allclose(sink.matrix(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_workers_do_not_change_the_order(images, workers):
    """Batches arrive in order, however many threads decode them."""
    order = []
    extract_features(
        mean_color,
        images,
        sink=lambda index, _: order.extend(index.tolist()),
        batch_size=9,
        workers=workers,
    )
    assert order == list(range(len(images)))


def test_tail_is_exact_by_default(images):
    """The last batch is as short as it must be."""
    shapes = []
    extract_features(
        lambda batch: shapes.append(len(batch)) or mean_color(batch),
        images,
        sink=Collector(),
        batch_size=32,
    )
    assert shapes == [32, 32, 32, 4]


def test_padded_tail_shows_the_network_one_shape_and_drops_the_padding(images):
    """With pad_tail each call has batch_size rows, and the features are those without padding."""
    shapes, sink = [], Collector()
    extraction = extract_features(
        lambda batch: shapes.append(len(batch)) or mean_color(batch),
        images,
        sink=sink,
        batch_size=32,
        pad_tail=True,
    )
    assert shapes == [32, 32, 32, 32]
    assert extraction.n_images == len(images)
    np.testing.assert_array_equal(sink.matrix(), mean_color(images))


def test_images_of_several_sizes_are_batched_by_size():
    """Each image keeps its row when its neighbours have other sizes."""
    generator = np.random.default_rng(3)
    sizes = [(8, 8), (8, 8), (5, 9), (8, 8), (5, 9), (3, 3)]
    images = [generator.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]
    sink = Collector()
    extraction = extract_features(mean_color, images, sink=sink, batch_size=4)
    expected = np.concatenate([mean_color(image[None]) for image in images])
    np.testing.assert_array_equal(sink.matrix(), expected)
    assert sorted(sink.batches) == [1, 1, 1, 3]
    assert extraction.n_batches == 4


def test_unreadable_images_are_left_out_and_named(images):
    """A broken image costs its own row and no other."""
    sink = Collector()
    extraction = extract_features(mean_color, Partly(images, {0, 31, 99}), sink=sink, batch_size=32)
    assert [position for position, _ in extraction.unreadable] == [0, 31, 99]
    assert extraction.n_images == 97
    kept = [i for i in range(100) if i not in {0, 31, 99}]
    assert sorted(sink.rows) == kept
    np.testing.assert_array_equal(sink.matrix(), mean_color(images[kept]))


def test_strict_raises_at_an_unreadable_image(images):
    with pytest.raises(UnreadableImageError, match="image 40 is broken"):
        extract_features(mean_color, Partly(images, {40}), sink=Collector(), strict=True)


def test_no_readable_image_is_an_error(images):
    with pytest.raises(
        DataError, match="None of the 100 images can be decoded; the first: image 0"
    ):
        extract_features(mean_color, Partly(images, range(100)), sink=Collector())


@pytest.mark.parametrize("batch_size", [0, -1])
def test_batch_size_below_one_is_refused(images, batch_size):
    with pytest.raises(ConfigError, match="at least 1"):
        extract_features(mean_color, images, sink=Collector(), batch_size=batch_size)


def test_decoding_stays_a_bounded_number_of_batches_ahead(images):
    """A slow network does not make the decoded images pile up."""
    read = threading.Event()
    n_read, most_ahead, n_run = 0, 0, 0

    class Counting:
        def __len__(self):
            return len(images)

        def __getitem__(self, index):
            nonlocal n_read
            n_read += 1
            read.set()
            return images[index]

    def run(batch):
        nonlocal n_run, most_ahead
        read.wait(1)
        n_run += len(batch)
        most_ahead = max(most_ahead, n_read - n_run)
        return mean_color(batch)

    extract_features(run, Counting(), sink=Collector(), batch_size=5, workers=1)
    # three batches pending besides the one in the network
    assert most_ahead <= 3 * 5


def test_an_error_of_the_network_ends_the_extraction(images):
    """The error is the network's own, and no thread is left behind."""
    before = threading.active_count()
    with pytest.raises(ZeroDivisionError):
        extract_features(lambda _: 1 / 0, images, sink=Collector())
    assert threading.active_count() == before


def test_progress_counts_every_image(images):
    steps = []

    class Listener:
        def advance(self, n=1):
            steps.append(n)

    extract_features(mean_color, images, sink=Collector(), batch_size=30, listener=Listener())
    assert steps == [30, 30, 30, 10]


@pytest.mark.parametrize(("n_images", "batch_size"), [(0, 3), (1, 3), (3, 3), (10, 3)])
def test_chunks_cover_every_position_once(n_images, batch_size):
    positions = [i for chunk in chunks(n_images, batch_size) for i in chunk]
    assert positions == list(range(n_images))


def test_padding_repeats_the_last_image(images):
    ((index, batch),), _ = load_batches(images, range(97, 100), pad_to=5)
    assert index.tolist() == [97, 98, 99]
    assert len(batch) == 5
    np.testing.assert_array_equal(batch[3:], images[[99, 99]])


@given(
    items=st.lists(st.integers(), max_size=50), workers=st.integers(1, 4), depth=st.integers(1, 6)
)
def test_results_come_in_order(items, workers, depth):
    """It is a map, whatever the number of threads and the depth."""
    result = list(prefetch(lambda x: x * 2, items, workers=workers, depth=depth))
    assert result == [x * 2 for x in items]


def test_an_error_comes_at_its_turn():
    """Results before the failing item are delivered first."""
    results = prefetch(lambda x: 1 // x, [1, 1, 0, 1], workers=2, depth=4)
    assert [next(results), next(results)] == [1, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_closing_early_ends_the_threads():
    before = threading.active_count()
    results = prefetch(lambda x: x, range(1000), workers=3, depth=3)
    next(results)
    results.close()
    assert threading.active_count() == before


def test_no_more_than_depth_items_are_taken_ahead():
    taken = []

    def items():
        for i in range(100):
            taken.append(i)
            yield i

    results = prefetch(lambda x: x, items(), workers=1, depth=4)
    next(results)
    # four at the start, one more to replace the one delivered
    assert len(taken) == 5
    results.close()
