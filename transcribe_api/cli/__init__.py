"""The command line, one module a command."""


def main() -> None:
    """What a script ``transcribe`` calls that was installed with 0.1, before the next set-up."""
    from chordscribe import main as run_command

    run_command()
