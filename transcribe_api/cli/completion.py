"""``transcribe completion``: shell scripts that complete commands, options and files."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command(short_help="Print a completion script for a shell.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print a script for SHELL that completes commands, options and files.

    \b
    bash:  transcribe completion bash >> ~/.bashrc
    zsh:   transcribe completion zsh >> ~/.zshrc
    fish:  transcribe completion fish > ~/.config/fish/completions/transcribe.fish
    """
    completion_class = get_completion_class(shell)
    assert completion_class is not None
    click.echo(
        completion_class(ctx.find_root().command, {}, "transcribe", "_TRANSCRIBE_COMPLETE").source()
    )
