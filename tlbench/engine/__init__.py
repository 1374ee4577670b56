"""The ONNX Runtime engine: providers that tell the truth, sessions, and streaming extraction."""

from tlbench.engine.extract import Extraction, extract_features
from tlbench.engine.providers import (
    ProviderStatus,
    check_provider,
    onnxruntime_facts,
    provider_names,
    provider_statuses,
    runtime_version,
)
from tlbench.engine.session import Session, accepts_raw_images, open_session

__all__ = [
    "Extraction",
    "ProviderStatus",
    "Session",
    "accepts_raw_images",
    "check_provider",
    "extract_features",
    "onnxruntime_facts",
    "open_session",
    "provider_names",
    "provider_statuses",
    "runtime_version",
]
