"""``python -m bench``: every measurement, as tables."""

from __future__ import annotations

from bench import merge, prepare

if __name__ == "__main__":
    prepare.main()
    merge.main()
