"""Exporters: pretrained networks become self-contained ONNX files.

tlbench reaches this package through the entry points ``tlbench.backbones`` only, and nothing here
is imported before an export is asked for. It is the only code that may import TensorFlow.
"""
