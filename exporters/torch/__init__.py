"""The networks of PyTorch and timm: fine-tuned, and exported through ``torch.onnx``."""
