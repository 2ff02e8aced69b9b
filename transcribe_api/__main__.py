"""``python -m transcribe_api`` is the command line, wherever its script is installed."""

from transcribe_api.cli import main

main(prog_name="transcribe")
