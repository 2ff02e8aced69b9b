"""Plan where a recording is cut, either as a whole or while it is decoded."""
