"""What settings are read with: addresses, folders, origins, and sentences for wrong ones."""
