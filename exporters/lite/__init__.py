"""EfficientNet-Lite, built natively as ONNX graphs: no TensorFlow, no torch."""
