"""Errors of a stack that cannot start or continue."""

from __future__ import annotations

from core.errors import TranscribeError


class StackError(TranscribeError):
    """The stack cannot start or has broken down."""

    code = "stack"


class ComponentExited(StackError):
    """A component of the stack ended while the stack waited for it."""

    def __init__(self, message: str, *, code: int, output: str) -> None:
        super().__init__(message)
        #: Exit code; negative: the signal.
        self.exit_code = code
        #: All its output since its start.
        self.output = output
