"""The `everloop` command. What a command needs is imported when it runs, so that help comes at once."""

from everloop.cli.command import app, main

__all__ = ["app", "main"]
