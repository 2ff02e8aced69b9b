"""Tells voices apart by their sound, for `engines.mfcc_diarizer`."""
