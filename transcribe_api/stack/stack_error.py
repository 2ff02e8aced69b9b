"""The error of a stack that cannot start or go on."""

from __future__ import annotations

from core.errors import TranscribeError


class StackError(TranscribeError):
    """The stack cannot start or has broken down."""

    code = "stack"


class ComponentExited(StackError):
    """A component of the stack ended while it was waited for."""

    def __init__(self, message: str, *, code: int, output: str) -> None:
        super().__init__(message)
        #: With which it ended; below 0: the signal.
        self.exit_code = code
        #: All that it wrote from its start on.
        self.output = output
