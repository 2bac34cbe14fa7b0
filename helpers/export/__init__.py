"""A trained network in a file for others: .safetensors, .onnx, int8."""
