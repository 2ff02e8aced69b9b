"""Client of NVIDIA's speech servers, for `engines.riva`."""
