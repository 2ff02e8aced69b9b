"""Models by content: which bytes a model consists of, and where such bytes can be had."""
