"""Nothing is fetched for these tests but from servers of their own."""

from __future__ import annotations

import os

# Before any of the libraries is imported: what is not here is missing, and the tests say so.
os.environ["HF_HUB_OFFLINE"] = "1"
