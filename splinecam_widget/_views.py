"""What a widget's views in browsers are told, and what is kept for those that come later. Knows no traits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ._board import ImageBoard, PlaneBoard
from ._images import Renderer
from ._inspecting import inspection_message, unanswered
from ._protocol import (
    Message,
    anchors_message,
    board_message,
    certificate_message,
    colours_message,
    error_text,
    lines_message,
    picture_message,
    sketch_message,
    value_names,
)
from ._scene import Shown, Sketched
from .analysis.colours import Colouring, colouring_of
from .analysis.provenance import LayerLines
from .engine.certificate import Certificate

KEPT = ("board", "anchors", "picture", "certificate")
"""In the order in which a view needs them."""


@dataclass(frozen=True)
class Words:
    """How the outputs are spoken of.

    Attributes
    ----------
    class_names : list of str or None
    is_class : bool
        The outputs are scores of classes, and not the colours of a picture.
    has_boundary : bool
        There is a decision to show.
    """

    class_names: list[str] | None
    is_class: bool
    has_boundary: bool

    def check(self, shown: Shown) -> None:
        """Raise ValueError if the names are not those of the model's outputs."""
        expected = max(2, shown.partition.values.shape[1])
        if self.class_names is not None and len(self.class_names) != expected:
            raise ValueError(f"class_names: expected {expected} names, one for each class, got {len(self.class_names)}")

    def colouring(self, shown: Shown, color_by: str) -> Colouring:
        """The colours of a picture."""
        k = shown.partition.values.shape[1]
        names = value_names(k, self.class_names) if k > 1 else (self.class_names or ["≤ 0", "> 0"])
        return colouring_of(shown.partition, shown.winners, color_by, names)


@dataclass(eq=False)
class Views:
    """Speaks to all views at once; several threads may.

    Attributes
    ----------
    send : callable
        Hands a message to the browser.
    board : ImageBoard, PlaneBoard or None
    renderer : Renderer or None
        Inputs as pictures.
    words : Words
    lock : RLock
        Held while a picture or its certificate is kept: who holds it knows that neither follows.
    """

    send: Callable[[dict[str, Any], list[bytes]], None]
    board: ImageBoard | PlaneBoard | None
    renderer: Renderer | None
    words: Words
    lock: threading.RLock = field(default_factory=threading.RLock)
    _last: dict[str, Message] = field(default_factory=dict)
    _is_closed: bool = False

    def greet(self) -> None:
        """A view was rendered: send it all there is. Other views get it again, which does no harm."""
        with self.lock:
            if self._is_closed:
                return
            if "board" not in self._last:
                self._last["board"] = board_message(self.board, self.words.class_names)
            for kind in KEPT:
                if kind in self._last:
                    self.send(*self._last[kind])

    def show(self, shown: Shown, color_by: str, layer: int | None, asked: dict[str, Any], timing: dict[str, float]) -> bool:
        """A new picture and its anchors; whether it has the layer's lines, which may take longer than the rest."""
        words = self.words
        anchors = anchors_message(shown, asked, self.renderer, words.class_names, words.is_class)
        with self.lock:
            if "board" not in self._last:  # no hello has come through: it may lie behind the cells of a busy kernel
                self._keep("board", board_message(self.board, words.class_names))
            self._keep("anchors", anchors)
        started = time.perf_counter()
        colouring = words.colouring(shown, color_by)
        timing["colours"] = time.perf_counter() - started
        started = time.perf_counter()
        is_quick = layer is None or not _has(shown, layer) or not shown.partition.asks_network_for_lines(layer)
        lines = _lines_of(shown, layer) if is_quick else None
        picture = picture_message(shown, colouring, lines, asked, words.has_boundary, timing)
        timing["pack"] = time.perf_counter() - started
        timing["sent"] = time.time()
        with self.lock:
            self._last.pop("certificate", None)
            self._keep("picture", picture)
        return is_quick

    def recolour(self, shown: Shown, color_by: str) -> bool:
        """Other colours for the picture on show; False where there is none, not yet or no longer."""
        content, buffers = colours_message(shown, self.words.colouring(shown, color_by))
        colours, *pieces = buffers
        return self._amend(shown, (content, buffers), {"legend": content["legend"]}, {3: colours, **dict(enumerate(pieces, 5))})

    def redraw_lines(self, shown: Shown, layer: int | None) -> bool:
        """The lines of another layer for the picture on show; False where there is none, or no longer this one."""
        content, (ends,) = lines_message(shown, _lines_of(shown, layer))
        return self._amend(shown, (content, [ends]), {"lines": content["lines"]}, {8: ends})

    def certify(self, shown: Shown, asked: dict[str, Any], found: Certificate | Exception) -> None:
        """How the checks of the picture on show came out."""
        self._keep("certificate", certificate_message(shown, asked, found))

    def sketch(self, sketched: Sketched, asked: dict[str, Any]) -> None:
        """What is known of a picture that takes long; it is not kept, as the picture follows."""
        self.send(*sketch_message(sketched, asked))

    def fail(self, error: Exception, text: str, asked: dict[str, Any]) -> None:
        """A request was not carried out."""
        self.send({"kind": "failed", **asked, "title": type(error).__name__, "message": text}, [])

    def inspect(self, shown: Shown, content: dict[str, Any]) -> None:
        """Answer what is under a cursor."""
        words = self.words
        try:
            message = inspection_message(
                shown, content, self.renderer, words.class_names, words.is_class, words.has_boundary)
        except Exception as error:
            message = unanswered(shown, content, error_text(error)), []
        self.send(*message)

    def close(self) -> None:
        """Let go of everything that was kept, and keep nothing more."""
        with self.lock:
            self._is_closed = True
            self._last.clear()
            self.board = None

    def _keep(self, kind: str, message: Message) -> None:
        with self.lock:
            if not self._is_closed:
                self._last[kind] = message
                self.send(*message)

    def _amend(self, shown: Shown, message: Message, content: dict[str, Any], buffers: dict[int, bytes]) -> bool:
        """Send a message about a picture, and change what is kept of it as views do that hear it; False if it is not kept."""
        with self.lock:
            picture, old = self._last.get("picture", ({"number": None}, []))
            if picture["number"] != shown.number:
                return False
            self._last["picture"] = {**picture, **content}, [buffers.get(i, buffer) for i, buffer in enumerate(old)]
            self.send(*message)
        return True


def _has(shown: Shown, layer: int) -> bool:
    """Whether the model on show has a layer; the next one may."""
    return layer < len(shown.partition.layers)


def _lines_of(shown: Shown, layer: int | None) -> LayerLines | None:
    return None if layer is None or not _has(shown, layer) else shown.partition.layer_lines(layer)
