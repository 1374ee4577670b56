"""What a cell of the GPU sweep measures: each kind a function from the cell to plain values."""

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path

import numpy as np
from alternate import THREADS, alternate

from tlbench.core.errors import MeasurementError
from tlbench.datasets import DatasetRequest, load_dataset
from tlbench.engine import Session, open_session
from tlbench.heads import HEADS, feature_distance, fit_head, resolve_head_params
from tlbench.model import OnnxModel
from tlbench.workflows import RunConfig, TimingConfig, run_benchmark
from tlbench.workflows.steps.breakdown import measure_breakdown

__all__ = ["CELLS", "breakdown", "parity", "peers", "timing"]

# Features of one file on two devices: float32 sums in another order give 1e-6, TF32's 10 bits of
# mantissa 1e-3 a layer, fp16 as much; another resize or preprocessing 1e-1.
SAME_NETWORK = 0.05
# Where PyTorch has a device of its own for a provider.
DEVICES = {"cuda": "cuda"}


def timing(cell):
    """Latency at both boundaries, as ``tlbench latency`` measures and judges it.

    A captured CUDA graph has the boundary of the device only.
    """
    is_graph = cell.options.get("enable_cuda_graph") == "1"
    config = RunConfig(
        model=cell.model,
        provider=cell.provider,
        provider_options=cell.options,
        accuracy=False,
        cache=False,
        timing=TimingConfig(
            scenarios=("single",) if cell.batch_size == 1 else ("offline",),
            batch_sizes=(cell.batch_size,),
            boundaries=("device->device",) if is_graph else ("numpy->numpy", "device->device"),
            min_samples=12 if cell.quick else 64,
            min_duration_s=0.01 if cell.quick else 1.0,
            max_duration_s=5.0 if cell.quick else 15.0,
            costs=cell.costs,
            extend_until_steady=False,
        ),
    )
    return run_benchmark(config).result


def parity(cell):
    """Features on the provider against those of the fp32 file on the CPU, for two batches.

    Both ways: arrays of the host's, and a bound batch that gets other images after its first run,
    which a CUDA graph that keeps its first input would answer wrongly.
    """
    first, second = _images(cell.batch_size), _images(cell.batch_size, seed=1)
    with _session(cell) as session:
        bound = session.bind(first)
        bound.run()
        bound.load(second)
        bound.run()
        ways = {"device": bound.fetch(), "numpy": session.run(second)}
    expected = _reference(cell, second)
    found = {
        way: asdict(feature_distance(expected, features.reshape(expected.shape)))
        for way, features in ways.items()
    }
    _check_same(found)
    return {"n_images": cell.batch_size, **found}


def breakdown(cell):
    """From an image of the digits to its label, in parts, with a head fitted on 200 of them."""
    dataset = load_dataset(DatasetRequest(name="digits"))
    head = HEADS.load("centroid")
    params = resolve_head_params([head], {})[head.name]
    n_train, n_images = (64, 5) if cell.quick else (200, 100)
    with _session(cell) as session:
        features = np.concatenate(
            [session.run(dataset.train.images[i : i + 8]) for i in range(0, n_train, 8)]
        )
        labels = dataset.train.labels[:n_train]
        classifier = fit_head(head, params, features, labels, seed=0)
        return measure_breakdown(
            session, dataset.test.images, classifier, head.name, n_images=n_images
        )


def peers(cell):
    """ONNX Runtime and PyTorch on the same weights, in alternating blocks, at each boundary."""
    import torch

    torch.set_num_threads(THREADS)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    # As ONNX Runtime does unless told otherwise: search for the fastest convolution of each shape.
    torch.backends.cudnn.benchmark = True
    batch, found, left_out = _images(cell.batch_size), {}, {}
    expected = _reference(cell, batch)
    with ExitStack() as stack:
        session = stack.enter_context(_session(cell))
        boundaries = _boundaries(cell, session, stack, batch, left_out)
        for boundary, sides in boundaries.items():
            distances = {
                name: asdict(feature_distance(expected, fetch().reshape(expected.shape)))
                for name, (_, fetch) in sides.items()
            }
            _check_same(distances)
            blocks = alternate(
                {name: call for name, (call, _) in sides.items()},
                n_blocks=6 if cell.quick else 15,
                calls=1 if cell.quick else max(1, 64 // cell.batch_size),
                pause_s=0.0 if cell.quick else 0.05,
                warm_up_s=0.0 if cell.quick else 0.5,
            )
            ours, *others = sides
            found[boundary] = {
                "features": distances,
                "ratios_to_onnxruntime": {n: asdict(blocks.ratio(n, to=ours)) for n in others},
                **blocks.facts(),
            }
    return {
        "torch": torch.__version__,
        "cudnn_of_torch": torch.backends.cudnn.version(),
        "batch_size": cell.batch_size,
        "left_out": left_out,
        **found,
    }


def _boundaries(cell, session, stack, batch, left_out):
    """Return for each boundary the sides: what is timed, and a function that gives its features."""
    import torch
    from onnx_torch import OnnxModule

    device = torch.device(DEVICES.get(cell.provider, "cpu"))
    plain = OnnxModule(Path(cell.model)).eval().to(device)
    last = OnnxModule(Path(cell.model)).eval().to(device, memory_format=torch.channels_last)

    def from_numpy(network):
        @torch.inference_mode()
        def call():
            return network(torch.from_numpy(batch).to(device)).float().cpu().numpy()

        return call, call

    def ours():
        return session.run(batch)

    found = {
        "numpy->numpy": {
            "onnxruntime": (ours, ours),
            "torch": from_numpy(plain),
            "torch channels-last": from_numpy(last),
        }
    }
    if cell.provider in DEVICES:
        images = torch.from_numpy(batch).to(device)
        found["device->device"] = {"onnxruntime": _bound(session, batch)}
        sides = {
            "onnxruntime graph": lambda: _bound(
                stack.enter_context(_session(cell, enable_cuda_graph="1")), batch
            ),
            "torch": lambda: _on_device(plain, images),
            "torch channels-last": lambda: _on_device(last, images),
            "torch channels-last graph": lambda: _captured(last, images),
        }
        if cell.compiled:
            sides["torch compiled"] = lambda: _on_device(
                torch.compile(last, mode="reduce-overhead"), images
            )
        for name, make in sides.items():
            try:
                call, fetch = make()
                fetch()  # what is compiled or captured may fail only when it is called
                found["device->device"][name] = call, fetch
            except Exception as error:  # noqa: BLE001 - one that cannot capture leaves the others
                left_out[name] = f"{type(error).__name__}: {error}"
    return found


def _bound(session, batch):
    bound = session.bind(batch)

    def fetch():
        bound.run()
        return bound.fetch()

    return bound.run, fetch


def _on_device(network, images):
    import torch

    @torch.inference_mode()
    def call():
        features = network(images)
        torch.cuda.synchronize()
        return features

    return call, lambda: call().float().cpu().numpy()


def _captured(network, images):
    """Capture one call as a CUDA graph, as PyTorch's documentation says, and replay it."""
    import torch

    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.inference_mode():
        with torch.cuda.stream(aside):
            for _ in range(3):
                network(images)
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            features = network(images)

    def call():
        graph.replay()
        torch.cuda.synchronize()

    def fetch():
        call()
        return features.float().cpu().numpy()

    return call, fetch


@contextmanager
def _session(cell, **more: str) -> Iterator[Session]:
    with open_session(
        OnnxModel(Path(cell.model)),
        provider=cell.provider,
        provider_options={**cell.options, **more},
        threads=THREADS if cell.provider == "cpu" else None,
    ) as session:
        yield session


def _reference(cell, images):
    with open_session(OnnxModel(Path(cell.reference)), spin=False) as session:
        return session.run(images)


def _images(n, seed=0):
    """Return raw images of CIFAR's size: the graph enlarges them."""
    return np.random.default_rng(seed).integers(0, 256, (n, 32, 32, 3), dtype=np.uint8)


def _check_same(distances):
    errors = {name: distance["relative_error"] for name, distance in distances.items()}
    far = {name: e for name, e in errors.items() if math.isnan(e) or e > SAME_NETWORK}
    if far:
        raise MeasurementError(f"not the same network: features differ by {far}")


CELLS = {"parity": parity, "timing": timing, "peers": peers, "breakdown": breakdown}
