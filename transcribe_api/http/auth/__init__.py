"""Whether a request needs a key, whose key it is, and what that key allows."""
