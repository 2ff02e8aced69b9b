"""Takes audio apart: decode, voice activity, plan, cut."""
