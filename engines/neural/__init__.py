"""A diarizer of two small nets that run on onnxruntime: who speaks when, and whose voice it is."""
