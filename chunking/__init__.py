"""Audio processing before the engines: decode, detect speech, plan, cut."""
