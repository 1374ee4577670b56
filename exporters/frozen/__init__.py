"""Frozen TensorFlow graphs: converted by tf2onnx and verified against the graph in TensorFlow."""
