"""Parse requests into valid values, or raise an error that names the field."""
