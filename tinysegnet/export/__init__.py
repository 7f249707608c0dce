"""Trained networks for other programs: ONNX files, and an HTML page that runs a network in a browser."""
