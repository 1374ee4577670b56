"""The networks of ``keras.applications``, exported through tf2onnx."""
