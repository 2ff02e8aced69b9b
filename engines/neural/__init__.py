"""A diarizer of two small networks on onnxruntime: one for turns, one for voices."""
