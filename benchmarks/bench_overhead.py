"""What the harness adds to a call: a model that does nothing, with tlbench around and without."""

import time

import numpy as np
import onnx
import pytest
from alternate import THREADS, median_estimate, run_warm
from onnx import TensorProto, helper

from tlbench.engine import open_session
from tlbench.latency import StoppingRule, measure
from tlbench.model import OnnxModel

N_BLOCKS, CALLS = 31, 2000
LIMIT_S = 30e-6


def identity(dtype, shape):
    """Return a model that hands its input on as its features."""
    tensors = [helper.make_tensor_value_info(name, dtype, shape) for name in ("x", "features")]
    node = helper.make_node("Identity", ["x"], ["features"])
    graph = helper.make_graph([node], "identity", tensors[:1], tensors[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


CASES = {
    # a vector out, as of a backbone; and raw images, whose map the engine flattens
    "float32": (TensorProto.FLOAT, ["N", 16], np.zeros((1, 16), np.float32)),
    "uint8": (TensorProto.UINT8, ["N", 32, 32, 3], np.zeros((1, 32, 32, 3), np.uint8)),
}


@pytest.mark.parametrize("case", CASES)
def test_overhead(benchmark, note, tmp_path, case):
    """Seconds a call by `measure` around `Session.run`, less those of a bare loop.

    Both go through one ONNX Runtime session. *Reported* is the mean sample of the harness, which
    ends up in a result; *wall* is the time of its whole loop, with the clocks and the bookkeeping
    between the samples. The bare loop reads the clock before and after all its calls.
    """
    dtype, shape, value = CASES[case]
    path = tmp_path / "identity.onnx"
    onnx.save(identity(dtype, shape), path)
    rule = StoppingRule(warmup_s=0, min_warmup_calls=0, min_samples=CALLS, min_duration_s=0)
    reported, wall, bare = [], [], []
    with open_session(OnnxModel(path), threads=THREADS) as session:
        run = session._session.run
        inputs = [value.copy() for _ in range(8)]

        def harness():
            began = time.perf_counter()
            timing = measure(lambda i: session.run(inputs[i % 8]), rule)
            wall.append((time.perf_counter() - began) / (CALLS + 1))
            reported.append(sum(timing.samples_s) / CALLS)

        def loop():
            began = time.perf_counter()
            for i in range(CALLS):
                run(["features"], {"x": inputs[i % 8]})
            bare.append((time.perf_counter() - began) / CALLS)

        for block in range(-3, N_BLOCKS):
            for side in (harness, loop) if block % 2 else (loop, harness):
                side()
            if block < 0:  # cold
                for times in (reported, wall, bare):
                    times.clear()
        found = {}
        for name, times in (("reported", reported), ("wall", wall)):
            pairs = zip(times, bare, strict=True)
            found[name] = median_estimate([ours - theirs for ours, theirs in pairs])
        run_warm(benchmark, lambda: session.run(value), max_rounds=2000)
        note(session)
    bare_us = 1e6 * median_estimate(bare).median
    note(bare_us=bare_us, n_blocks=N_BLOCKS, calls_in_a_block=CALLS)
    for name, estimate in found.items():
        low, middle, high = (1e6 * end for end in (estimate.low, estimate.median, estimate.high))
        note(**{f"{name}_us": middle, f"{name}_us_low": low, f"{name}_us_high": high})
        print(
            f"\noverhead, {case}, {name}: {middle:+.2f} µs a call [{low:+.2f}, {high:+.2f}] over "
            f"{bare_us:.2f} µs, {N_BLOCKS} blocks of {CALLS} calls",
            end="",
        )
    print()
    assert all(estimate.high < LIMIT_S for estimate in found.values())
