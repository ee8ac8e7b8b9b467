"""The one kind of error that is meant for the person at the keyboard."""

from __future__ import annotations


class PsmaError(Exception):
    """Something is wrong and the person can mend it: the text says in one line what, and what to do.

    The command line prints it without a traceback and ends with ``exit_code``.
    """

    exit_code = 2
