"""ONNX files of any origin: wrapped into the artefact and verified against the file itself."""
