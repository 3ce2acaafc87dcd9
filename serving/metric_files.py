"""Room on the disk for the files of Prometheus, so that a full disk takes no predictions down.

prometheus_client keeps a process's metrics in files that it maps into memory. They are sparse: a
page is taken from the disk when it is first written, and where there is none left the system kills
the process, and each that is started in its place, without a word. Here every page is taken when a
file is made; where that cannot be, the process counts in memory alone, and says so.
"""

from __future__ import annotations

import logging
import mmap
import os
from contextlib import suppress

from prometheus_client import values
from prometheus_client.mmap_dict import MmapedDict

__all__ = ["SIZE", "ReservedFile", "reserve"]

SIZE = 1 << 18
"""Bytes of a file: over 1,000 series. The shipped models have some 200."""

complained: set[int] = set()
"""The processes that have said they lack room; each says so once."""

logger = logging.getLogger("bentoml.riskscore")


class ReservedFile(MmapedDict):
    """A file of metrics whose pages are all there; or memory, where the disk has no room.

    Parameters
    ----------
    filename : str
        Where; made if it is not there.
    read_mode : bool
        To be read alone, which takes no room.
    """

    def __init__(self, filename: str, read_mode: bool = False) -> None:
        if read_mode or _taken(filename, SIZE):
            super().__init__(filename, read_mode)  # type: ignore[no-untyped-call]
            return
        self._f = None  # type: ignore[assignment]  # there is no file to close
        self._fname = filename
        self._capacity = SIZE
        self._m = mmap.mmap(-1, SIZE)
        self._positions: dict[str, int] = {}
        self._used = 8

    def _init_value(self, key: str) -> None:
        """Make a series, in a file or memory of twice the size if need be."""
        longest = 4 * len(key) + 32  # in UTF-8, padded, with its two numbers
        if self._used + longest > self._capacity and not (
            self._f and _taken(self._fname, 2 * self._capacity)
        ):
            grown = mmap.mmap(-1, 2 * self._capacity)
            grown[: self._used] = self._m[: self._used]
            self._m, self._capacity = grown, 2 * self._capacity
        super()._init_value(key)  # type: ignore[no-untyped-call]


def reserve() -> None:
    """Make prometheus_client keep its metrics so, from the first on."""
    values.MmapedDict = ReservedFile  # type: ignore[attr-defined]  # the name it looks up


def _taken(filename: str, size: int) -> bool:
    """Take the room a file needs; return whether there was any."""
    try:
        with open(filename, "ab") as file:
            os.posix_fallocate(file.fileno(), 0, size)
    except OSError as error:
        _complain(error, filename)
        with suppress(OSError):
            if not os.path.getsize(filename):
                os.unlink(filename)  # who reads the metrics stumbles over an empty file
        return False
    return True


def _complain(error: OSError, filename: str) -> None:
    process = os.getpid()
    if process not in complained:
        complained.add(process)
        reason, folder = error.strerror, os.path.dirname(filename)
        logger.error(
            "metrics of process %d are lost (%s), predictions go on; make room in %s and restart",
            process,
            reason,
            folder,
        )
