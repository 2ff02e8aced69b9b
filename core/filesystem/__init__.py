"""Files of this machine: data directory, its lock, free space, private files."""
