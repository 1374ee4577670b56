from .cgroup import cpu_quota, throttled_s
from .environment import (
    Environment,
    available_cpus,
    capture_environment,
    cuda_variables,
    int8_saturates,
    usable_cpus,
)
from .nvidia import NvidiaGpu, loaded_libraries, locate_gpu, open_gpu, open_gpu_at

__all__ = [
    "Environment",
    "NvidiaGpu",
    "available_cpus",
    "capture_environment",
    "cpu_quota",
    "cuda_variables",
    "int8_saturates",
    "loaded_libraries",
    "locate_gpu",
    "open_gpu",
    "open_gpu_at",
    "throttled_s",
    "usable_cpus",
]
