"""Mechanisms behind `Data_Mining_project.ipynb`: each module is one idea, importable on its own.

Importing this package does one thing: it sets environment variables that other libraries read while they are imported.
A value that is set already stays.
"""

import os

# ONNX Runtime 1.29 and later report models, computer and errors to their maker unless this is set.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# albumentations asks the network for its newest version unless this is set.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

# A thread of torch that waits for another one sleeps. Otherwise it spins, and beside other work on the same cores it
# takes from the other thread the very time that it waits for.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
