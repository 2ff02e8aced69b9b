"""Memory leases, which decide which processes of this machine may load a model."""
