"""Makes the spoken digits of these tests: two voices of flite count, one digit a second.

    python -m tests.engines.make_digits

writes audio/digits.flac (16 kHz mono) and audio/digits.txt (voice and digits, one turn a line), the
same bytes each time with the same flite. Digit number k of the file begins at FIRST + k seconds.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from samples.make_conversation import RATE, audible, flite, write_flac

AUDIO = Path(__file__).parent / "audio"
#: Seconds before the first digit.
FIRST = 1.0
#: Of 32768: the loudest sample of a digit, and the usual one of the room.
LOUD, ROOM = 16000, 3

TURNS = (
    ("slt", "three one four one five nine"),
    ("rms", "two six five three five eight nine"),
    ("slt", "seven nine three two three eight four six"),
    ("rms", "two six four three three eight three two"),
    ("slt", "seven nine five zero two eight eight"),
    ("rms", "four one nine seven one six nine three"),
    ("slt", "nine nine three seven five one"),
    ("rms", "zero five eight two zero nine seven four nine four"),
)


def main() -> None:
    """Write both files."""
    spoken = [(voice, digit) for voice, digits in TURNS for digit in digits.split()]
    sound = np.random.default_rng(0).normal(0, ROOM, int((FIRST + len(spoken) + 1) * RATE))
    for number, (voice, digit) in enumerate(spoken):
        said = digit_of(voice, digit)
        start = int((FIRST + number) * RATE)
        sound[start : start + len(said)] += said
    AUDIO.mkdir(exist_ok=True)
    write_flac(AUDIO / "digits.flac", sound.round().astype(np.int16))
    (AUDIO / "digits.txt").write_text("".join(f"{voice} {digits}\n" for voice, digits in TURNS))


def digit_of(voice: str, digit: str) -> NDArray[np.float64]:
    """One digit, without silence and at the loudness of all others."""
    said = audible(flite(voice, digit)).astype(np.float64)
    return said * LOUD / np.abs(said).max()


if __name__ == "__main__":
    main()
