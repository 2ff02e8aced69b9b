"""Separate voices by spectral features, for `engines.mfcc_diarizer`."""
