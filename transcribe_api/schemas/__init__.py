"""What is sent and answered, as models: one module a part of the interface.

Models of requests validate as well as document. Models of answers only document: tests hold every
answer to them, and the service never checks its own words again.
"""
