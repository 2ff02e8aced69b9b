"""From a request to valid values, or to an error that names the field."""
