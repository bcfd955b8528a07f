"""The Ray that a search runs on: one of its own on this machine, or a cluster."""

import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import ray

from graftwork.core.errors import GraftworkError
from graftwork.train.runfile import RunFile

_LOCAL = "local"
_SECONDS = 5.0

# Save the search's state often, and leave the terminal and the disk to us.
_ENVIRONMENT = {
    "TUNE_GLOBAL_CHECKPOINT_S": "2",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "RAY_AIR_NEW_OUTPUT": "0",
}


def connect(address: str | None, file: RunFile) -> None:
    """Join the cluster at `address` or in RAY_ADDRESS; without either, start a Ray here.

    Raises:
        GraftworkError: no cluster answers, or a trial needs more than this machine has.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    logging.getLogger("ray").setLevel(logging.ERROR)
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    if ray.is_initialized():
        return
    address = address or os.environ.get("RAY_ADDRESS") or _LOCAL
    more = {"include_dashboard": False} if address == _LOCAL else {}
    try:
        if address not in (_LOCAL, "auto"):
            _knock(address)
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **more)
    except (OSError, OverflowError, RuntimeError, ValueError) as error:
        line = str(error).splitlines()[0]
        raise GraftworkError(
            f"--address {address}: no Ray cluster answers there ({line}); start one with "
            "`ray start --head`, or leave --address out"
        ) from error
    if address == _LOCAL:  # to a cluster, machines may still come
        _refuse_too_much(file)


@contextmanager
def own_signals() -> Iterator[None]:
    """Ray saves its state at Ctrl-C, and stays deaf to it afterwards if it is let."""
    main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        if main:
            signal.signal(signal.SIGINT, before)


def _knock(address: str) -> None:
    """Raise OSError where nobody listens: Ray would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        raise ValueError("write HOST:PORT, or auto")
    socket.create_connection((host.strip("[]"), int(port)), timeout=_SECONDS).close()


def _refuse_too_much(file: RunFile) -> None:
    """Refuse trials that this machine could never hold: they would wait for ever."""
    search, here = file.search, ray.cluster_resources()
    assert search is not None
    for setting, name, wanted in (("cpus", "CPU", search.cpus), ("gpus", "GPU", search.gpus)):
        if wanted > here.get(name, 0):
            raise GraftworkError(
                f"{file.name}: search.{setting}: {wanted:g} for each trial, and this machine has "
                f"{here.get(name, 0):g}; lower it"
            )
