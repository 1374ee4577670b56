from .binding import BoundBatch, device_of
from .ceiling import arithmetic_ceiling
from .extract import Extraction, extract_features
from .providers import (
    ProviderStatus,
    check_provider,
    onnxruntime_facts,
    provider_name,
    provider_names,
    provider_statuses,
    runtime_version,
)
from .session import Session, accepts_raw_images, feature_output, open_session

__all__ = [
    "BoundBatch",
    "Extraction",
    "ProviderStatus",
    "Session",
    "accepts_raw_images",
    "arithmetic_ceiling",
    "check_provider",
    "device_of",
    "extract_features",
    "feature_output",
    "onnxruntime_facts",
    "open_session",
    "provider_name",
    "provider_names",
    "provider_statuses",
    "runtime_version",
]
