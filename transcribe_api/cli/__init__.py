"""The command line, one module per command."""


def main() -> None:
    """Entry point of ``transcribe`` scripts that version 0.1 installed."""
    from chordscribe import main as run_command

    run_command()
