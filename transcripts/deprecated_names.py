"""Names of version 0.1 that engine plugins may import for one more version, with a warning."""

from __future__ import annotations

import sys
import warnings

_NEW_NAMES = {
    "transcripts.types": {
        "Heard": "Transcription",
        "Voices": "Diarization",
        "Span": "Interval",
        "Stretch": "ChannelInterval",
    },
    "engines.wav": {"samples": "read_pcm", "blocks": "read_blocks", "seconds": "read_duration"},
    "engines.base": {"Offer": "ServerCapabilities", "FindsLanguage": "LanguageDetector"},
}


def find_renamed(module: str, name: str) -> object:
    """Return the object that *name* is called now, with a `DeprecationWarning`.


    Raises `AttributeError` if the module never had that name.
    """
    new_name = _NEW_NAMES[module].get(name)
    if new_name is None:
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    message = f"{module}.{name} was renamed to {new_name} in 0.2; 0.3 removes the old name"
    warnings.warn(message, DeprecationWarning, stacklevel=3)
    return getattr(sys.modules[module], new_name)
