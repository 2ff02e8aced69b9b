"""Speech engines and diarizers. Their only state is the model."""
