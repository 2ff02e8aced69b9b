"""Convert records to responses: JSON, files, streams and problems."""
