"""What the heavy libraries say, asked in a process of their own.

A broken build may crash or hang its process; the one that asks must live to tell.
"""

import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

SECONDS = 60

_TORCH = """
import torch
count = torch.cuda.device_count() if torch.cuda.is_available() else 0
print(", ".join(torch.cuda.get_device_name(i) for i in range(count)) or "no CUDA device")
"""
_ASKED = {"torch": _TORCH, "ray": "import ray; print('importable')"}


def findings() -> Iterator[tuple[str, str]]:
    """Library and what is to be said of it, for torch and ray."""
    for library, code in _ASKED.items():
        try:
            number = version(library)
        except PackageNotFoundError:
            yield library, "not installed"
        else:
            yield library, f"{number}: {_answer(code)}"


def _answer(code: str) -> str:
    try:
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"does not answer ({type(error).__name__})"
    if done.returncode == 0:
        return done.stdout.strip().splitlines()[-1]
    last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
    return f"fails to import ({last})"
