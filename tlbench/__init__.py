"""tlbench: portable benchmarks of transfer learning with ONNX Runtime."""

__version__ = "0.1.0"
__all__ = ["__version__"]
