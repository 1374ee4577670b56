"""The software that a conversion depends on."""

from importlib import metadata


def software_versions() -> dict[str, str]:
    """Return the versions that a converted file depends on."""
    found = {}
    for name in ("tlbench", "onnx", "onnxruntime-gpu", "onnxruntime"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # one of the two ONNX Runtimes is absent
            continue
    return found


class ByOnnxRuntime:
    """A conversion by ONNX Runtime's tools."""

    __slots__ = ()

    def software(self) -> dict[str, str]:
        """Return the versions of what the result depends on."""
        return software_versions()
