"""The certificate of the picture on show, computed in the background while nothing else is. Knows no traits and no messages."""

from __future__ import annotations

import weakref
from collections.abc import Callable

from ._scene import Shown
from ._scheduler import Worker
from .engine import threads
from .engine.certificate import Certificate
from .engine.checking import certificate_of
from .engine.errors import Cancelled
from .engine.planar import PlanarComplex

REST_SECONDS = 0.25
"""A check begins, and goes on, when no picture was computed for so long: the steps of a drag follow each other faster."""

Told = Callable[[Certificate | Exception], None]


class Checks:
    """Checks one picture at a time, off the thread that computes pictures; waits while that works, and ends with it.

    Parameters
    ----------
    pictures : Worker
        Computes the pictures.
    on_show : callable
        The picture on show, None when there is none. A check of any other is given up.
    """

    def __init__(self, pictures: Worker, on_show: Callable[[], Shown | None]) -> None:
        self._pictures = pictures
        self._on_show = on_show
        self._worker = Worker("splinecam-widget-checks", threads.enter)
        self._checked: tuple[weakref.ref[PlanarComplex], Certificate] | None = None

    def begin(self, shown: Shown, told: Told) -> None:
        """Check a picture as soon as the view rests; `told` gets the certificate, or what went wrong, on another thread.

        A picture of cells that were checked already has its certificate at once.
        """
        known = self.of(shown)
        if known is not None:
            told(known)
        else:
            self._worker.submit("check", lambda tick: self._check(shown, told, tick))

    def of(self, shown: Shown | None) -> Certificate | None:
        """The certificate of a picture, if there is one."""
        checked = self._checked
        if checked is None or shown is None or checked[0]() is not shown.partition.planar:
            return None
        return checked[1]

    def wait_idle(self, timeout: float | None) -> bool:
        """Wait until nothing is checked and nothing waits; False if that took longer than `timeout` seconds."""
        return self._worker.wait_idle(timeout)

    def close(self) -> None:
        """Take no more; what is being checked ends at its next tick."""
        self._worker.close()

    def _check(self, shown: Shown, told: Told, stop: Callable[[], None]) -> None:
        def is_wanted() -> bool:
            now = self._on_show()
            # Anchors that move in the plane change no cell.
            return now is not None and now.partition.planar is shown.partition.planar

        def tick() -> None:
            if not self._pictures.is_idle():
                self._pictures.wait_rest(REST_SECONDS, is_wanted)
            stop()
            if self._pictures.is_closed or not is_wanted():
                raise Cancelled

        self._pictures.wait_rest(REST_SECONDS, is_wanted)
        found: Certificate | Exception
        try:
            tick()
            found = self.of(shown) or certificate_of(shown.partition, False, tick)
        except Cancelled:
            raise
        except Exception as error:
            found = error
        else:
            self._checked = (weakref.ref(shown.partition.planar), found)
        told(found)
