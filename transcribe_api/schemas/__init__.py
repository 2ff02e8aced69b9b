"""Models of requests and responses, one module per part of the API.

Models of requests validate and document. Models of responses only document: tests check every
response against them, and the service does not validate its own output.
"""
