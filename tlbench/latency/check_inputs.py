"""What is known about a timing besides its samples."""

from dataclasses import dataclass

from tlbench.latency.throttle import GpuState


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckInputs:
    """What is known about a timing besides its samples; None where it is not known.

    Attributes
    ----------
    tick_s : float
        Smallest step of the clock.
    cpus, other_cpus, slowdown, temperatures_c, gpu
        See `tlbench.latency.machine.MachineSamples`.
    repeated_ratio : float or None
        Median time with one input again and again, over that with changing inputs.
    inputs_change : bool
        Whether the input changed from call to call.
    batch_size, n_outputs : int
        Images that went in, and rows that came out of one call.
    elsewhere : tuple of str
        Operators that ran on another provider than the one asked for.
    macs_per_s, ceiling_macs_per_s : float or None
        Arithmetic of the graph times the throughput, and the most that the machine was seen to do.
    independent : bool
        Whether the order of the samples should not matter. It does for a server's: requests wait
        for one another.
    complete : bool
        False after Ctrl-C.
    """

    tick_s: float
    cpus: int
    other_cpus: float | None
    slowdown: float
    temperatures_c: tuple[float, ...] = ()
    gpu: tuple[GpuState, ...] = ()
    repeated_ratio: float | None = None
    inputs_change: bool = True
    batch_size: int = 1
    n_outputs: int = 1
    elsewhere: tuple[str, ...] = ()
    macs_per_s: float | None = None
    ceiling_macs_per_s: float | None = None
    independent: bool = True
    complete: bool = True
