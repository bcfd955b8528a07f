"""What workers run in some tests: decoding that hangs, crashes or leaves a note."""

import errno
import os
import signal
import sys
import time
from pathlib import Path

from graftwork.video.reading.decoding import decode_to_file


def decode(path, sampling, target):
    """Do to a file what its name says."""
    with Path(path.parent, "begun.txt").open("a") as notes:
        notes.write(f"{path.name}\n")
    if "hangs" in path.name:
        target.write_bytes(b"unfinished")
        time.sleep(3600)
    if "crashes" in path.name:
        os.kill(os.getpid(), signal.SIGSEGV)
    if "full" in path.name:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return decode_to_file(path, sampling, target)


def loaded(path, sampling, target):
    """Decode, and note which modules that took."""
    times = decode_to_file(path, sampling, target)
    Path(path.parent, "modules.txt").write_text("\n".join(sys.modules))
    return times
