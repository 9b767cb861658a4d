"""Errors that are the user's to mend: each says what is wrong, where, and what to do.

The command line prints them without a stack trace and exits with `exit_code`.
"""


class ProfilestoreError(Exception):
    """Something the person at the keyboard can mend."""

    exit_code = 1


class InputError(ProfilestoreError):
    """Raw data or a setting is not what it has to be; nothing was written."""

    exit_code = 2


class BreakingChangeError(ProfilestoreError):
    """`plan` found changes that would break somebody who reads what is registered."""

    exit_code = 3


class MissingStageError(ProfilestoreError):
    """A stage was asked for before the stage it reads from has run."""

    exit_code = 4
