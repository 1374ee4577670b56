"""What this machine is: processors, memory, software, GPUs."""

from tlbench.machine.environment import (
    Environment,
    available_cpus,
    capture_environment,
    cuda_variables,
    int8_saturates,
)
from tlbench.machine.nvidia import NvidiaGpu, locate_gpu, open_gpu, open_gpu_at

__all__ = [
    "Environment",
    "NvidiaGpu",
    "available_cpus",
    "capture_environment",
    "cuda_variables",
    "int8_saturates",
    "locate_gpu",
    "open_gpu",
    "open_gpu_at",
]
