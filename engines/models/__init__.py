"""Models identified by content: the files of a model and the sources that provide them."""
