"""Mechanisms behind `Data_Mining_project.ipynb`: each module is one idea, importable on its own."""

import os

# ONNX Runtime 1.29 and later tell their maker about models, computer and errors unless this is set when it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
