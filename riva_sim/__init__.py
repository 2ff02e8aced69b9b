"""A stand-in for NVIDIA Riva: its protocol over real gRPC, with PocketSphinx as the engine."""
