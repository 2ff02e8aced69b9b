"""Which processes of this machine may load a model: leases on its memory."""
