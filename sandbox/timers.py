"""Work that is due now or later, done on a few background threads that end with the sandbox."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

logger = logging.getLogger(__name__)

THREADS = 12


class Timers:
    """Runs work when it is due. Work that is due earlier starts earlier; nothing more is promised.

    A piece of work may take long (a rule's target may be slow), but it must not wait for another
    piece: there are `THREADS` threads.
    """

    def __init__(self) -> None:
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._closed = False
        self._workers = ThreadPoolExecutor(THREADS, thread_name_prefix="timers")
        threading.Thread(target=self._watch, name="timers", daemon=True).start()

    def soon(self, work: Callable[[], None]) -> None:
        """Do it on a background thread, as soon as one is free."""
        self.after(0.0, work)

    def after(self, seconds: float, work: Callable[[], None]) -> None:
        """Do it once, that many seconds from now."""
        with self._changed:
            if self._closed:
                return
            heapq.heappush(self._due, (time.monotonic() + seconds, next(self._order), work))
            self._changed.notify()

    def every(self, seconds: float, work: Callable[[], None]) -> None:
        """Do it again and again, `seconds` after the last time ended."""

        def turn() -> None:
            try:
                work()
            finally:
                self.after(seconds, turn)

        self.after(seconds, turn)

    def close(self) -> None:
        """Forget what is not due yet and start nothing more."""
        with self._changed:
            self._closed = True
            self._due.clear()
            self._changed.notify()
        self._workers.shutdown(wait=False, cancel_futures=True)

    def _watch(self) -> None:
        while True:
            with self._changed:
                while not self._closed and (not self._due or self._due[0][0] > time.monotonic()):
                    wait = self._due[0][0] - time.monotonic() if self._due else None
                    self._changed.wait(None if wait is None else max(wait, 0.0))
                if self._closed:
                    return
                _, _, work = heapq.heappop(self._due)
                self._workers.submit(_run, work)


def _run(work: Callable[[], None]) -> None:
    try:
        work()
    except Exception:
        logger.exception("background work failed")
