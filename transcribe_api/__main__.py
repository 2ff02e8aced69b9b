"""``python -m transcribe_api`` is the command line, wherever its script is installed."""

from transcribe_api.cli.command import main

main(prog_name="transcribe")
