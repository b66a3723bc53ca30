"""The one error of backups."""


class BackupError(RuntimeError):
    """Nothing was saved, or nothing was restored. Its text is one line for the operator."""
