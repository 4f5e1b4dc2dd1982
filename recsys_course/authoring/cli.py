"""The command ``course``: make, run and grade the course from anywhere in the repository."""

from __future__ import annotations

import typer

app = typer.Typer(help="Make, run and grade the course.", no_args_is_help=True)


@app.callback()
def course() -> None:
    """Make, run and grade the course."""


def main() -> None:
    """Run the command line."""
    app()
