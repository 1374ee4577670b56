"""The networks of PyTorch and timm, exported through ``torch.onnx``."""
