"""The one error that a user's mistake may raise."""


class GraftworkError(Exception):
    """A mistake the user can mend, told in one line: ``place: what is wrong; remedy``.

    The command line prints it as ``error: ...`` without a traceback and exits with status 2.

    >>> str(GraftworkError("run.toml: adapter.rnak: unknown key; did you mean 'rank'?"))
    "run.toml: adapter.rnak: unknown key; did you mean 'rank'?"
    """


def one_line(error: BaseException) -> str:
    r"""``Type: message`` of any exception with its line breaks folded into spaces.

    >>> one_line(ValueError("two\n  lines"))
    'ValueError: two lines'
    """
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


class GraftworkWarning(UserWarning):
    """Something a user should know that stops nothing; the command line prints it as a note."""
