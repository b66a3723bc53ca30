"""The one error of backups."""

from sunseo.core.errors import OneLineError


class BackupError(OneLineError, RuntimeError):
    """Nothing was saved, or nothing was restored. Its text is one line for the operator."""
