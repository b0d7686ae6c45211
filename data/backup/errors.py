"""What goes wrong with a backup."""


class BackupError(Exception):
    """A backup cannot be taken or restored; the message is for a person at a terminal, and nothing was changed."""
