"""The entry point: runs a command, and tells a user's mistake in one line."""

import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import Any

from graftwork.cli import progress
from graftwork.core.errors import GraftworkError, GraftworkWarning

MISTAKE = 2
INTERRUPTED = 130
_python_shows = warnings.showwarning
PIPE_CLOSED = 141  # 128 + SIGPIPE, as a shell reports it


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``graftwork`` with ``argv``, by default the process's own; the exit status."""
    progress.attended = True
    shown, warnings.showwarning = warnings.showwarning, _note
    try:
        status = _run(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()  # here, where a closed pipe is expected
        return status
    except GraftworkError as error:
        return _mistake(error)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # Python flushes once more at exit; into nothing, so that it does not complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    finally:
        warnings.showwarning = shown
        _restore_terminal()


def _run(argv: list[str]) -> int:
    from graftwork.cli import overview

    first = argv[0] if argv else "--help"
    if first in ("--help", "-h", "help"):
        print(overview.commands_text())
        return 0
    if first in ("--version", "-V"):
        print(overview.version_text())
        return 0
    from graftwork.cli.dispatch import run_command

    return run_command(first, argv[1:])


def _note(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
    """Show our own warnings as one line, and those of libraries as Python does."""
    if issubclass(category, GraftworkWarning):
        print(f"note: {message}", file=sys.stderr)
    else:
        _python_shows(message, category, *place, **more)


def _mistake(error: GraftworkError) -> int:
    if os.environ.get("GRAFTWORK_DEBUG", "0") not in ("", "0"):
        traceback.print_exception(error)
    print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
    return MISTAKE


def _restore_terminal() -> None:
    progress.attended = False
    progress.close()


if __name__ == "__main__":
    sys.exit(main())
