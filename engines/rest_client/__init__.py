"""Client of speech services with OpenAI's audio API, for `engines.remote`."""
