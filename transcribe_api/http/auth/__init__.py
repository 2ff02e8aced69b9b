"""Authentication: whether a request needs a key, who its owner is, and what it allows."""
