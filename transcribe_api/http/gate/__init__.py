"""What every request meets first, whatever the settings say of keys."""
