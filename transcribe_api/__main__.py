"""``python -m transcribe_api``: the command line, without its installed script."""

from transcribe_api.cli.command import main

main(prog_name="transcribe")
