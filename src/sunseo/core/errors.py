"""What ends a command with one line."""


class OneLineError(Exception):
    """Its text is one line for whoever ran a command, which ends with `exit_code`.

    The base of what a command refuses: told here, where it costs no import to catch it.
    """

    exit_code = 2
