"""`SplineCamWidget`: traits and handlers. Mathematics is in `engine`, state in `_scene`, what views are told in `_views`."""

from __future__ import annotations

import itertools
import pathlib
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import anywidget
import numpy as np
import traitlets

from ._board import ImageBoard, PlaneBoard, check_labels, checked_board
from ._checks import Checks
from ._idle import hold_off, import_when_idle
from ._images import Renderer, layout_of
from ._protocol import error_text
from ._scene import KEEP, Scene, Shown, Sketched, Wish
from ._scheduler import Worker
from ._traits import ColouringTrait, DomainTrait, LayerTrait, anchor_trait, corners
from ._views import Views, Words
from ._wishes import ANCHORS, wish_of, with_traits
from ._words import state_of, text_of
from .analysis.colours import COLOR_BY
from .engine import threads
from .engine.arrays import as_count, as_names, as_numbers
from .engine.certificate import Certificate
from .engine.errors import Cancelled, UnsupportedModelError, percent_text, sizes_text
from .engine.lowering import lower
from .engine.network import Network
from .engine.partition import Partition
from .engine.slices import Slice, as_domain
from .engine.warmup import with_loops
from .engine.watching import Budget

MAX_CELLS = 1_000_000
MAX_MEMORY = 2 << 30
"""Of one picture, unless told otherwise: what a laptop computes in seconds and a browser draws."""

_STATIC = pathlib.Path(__file__).parent / "static"

_GIVEN_ONCE = frozenset({
    "model", "images", "labels", "class_names", "background", "extent", "output", "approximate", "max_cells", "max_memory"})
"""Arguments that are no traits."""


class SplineCamWidget(anywidget.AnyWidget):
    """The exact geometry of a CPWL network on the slice through three anchors, live.

    Parameters
    ----------
    model : nn.Module or callable of torch operations
        Takes inputs of shape (batch, *input_shape). A module is copied when the widget is made, computed as in eval
        mode in float64, and never changed; later training shows after `update`.
    x1, x2, x3 : (*input_shape,) tensors or arrays
        The anchors A, B and C, as the model takes them.
    images : (n, *input_shape) tensor or array, optional
        Training images for the board.
    labels : (n,) integers, optional
        Their classes.
    class_names : list of str, or dict of them by number, optional
        One for each output of the model (two for a model with one output: at most 0, above 0).
    background : (H, W[, 3 or 4]) array, optional
        For models of two input numbers: the picture that the board shows.
    extent : (left, right, bottom, top)
        Where the edges of `background` lie in input coordinates; the first input number runs to the right, the second
        upwards.
    domain : (k, 2) array, optional
        Convex polygon in slice coordinates to compute; default: a square around the anchors.
    color_by : {"class", "margin", "pattern", "area", "slope", "output"}, optional
        "margin" is by how much the largest output exceeds the second; "output" is for models with one or three outputs. "class"
        unless the outputs are the colours of `background`, which they are when there are one or three and no `class_names`.
    layer : int, optional
        The lines of this layer of kinks alone are strong, those of others faint; layers count in execution order from 0, as in
        `Partition.edge_layer`. None: all lines are alike.
    output : str or int, optional
        Which output of a model with several, by key, attribute or place.
    approximate : float, optional
        Replace smooth activations by piecewise-linear ones that differ from them by at most this much. The widget then says
        "approximation" and never "exact". Without it they are refused.
    max_cells, max_memory : int or None
        Cells and bytes that one picture may take. Where a view needs more, its middle is shown, and the status is "partial".

    Attributes
    ----------
    partition : Partition or None
        The exact partition on show, None until the first is done.
    certificate : Certificate or None
        How the checks of that partition came out; None until they are done.
    status : dict
        What it is doing: state, text, cells, regions, seconds, vertices_evaluated, cells_reused, ...
    error : str
        The last error as text, "" if none.

    Raises
    ------
    ValueError
        If an argument is bad; the text names it, says what was expected and what came. What only shows when the model is
        read or run does not raise here: the widget shows it, `error` holds it, and `wait` raises it. So it is with a model that
        is not CPWL, names for another number of classes, or a budget that nothing fits into.

    Examples
    --------
    >>> import torch
    >>> w = SplineCamWidget(torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.ReLU(), torch.nn.Linear(4, 1)),
    ...                     [0.0, 0.0], [1.0, 0.0], [0.0, 1.0])
    >>> w.wait(60).n_cells >= 1
    True
    >>> w.close()
    """

    # As text: anywidget watches a path for changes, and holds every widget for ever to tell it.
    _esm = (_STATIC / "widget.js").read_text(encoding="utf-8")
    _css = (_STATIC / "widget.css").read_text(encoding="utf-8")

    x1 = anchor_trait()
    """Anchor A: (*input_shape,) float64. Settable and observable."""
    x2 = anchor_trait()
    """Anchor B."""
    x3 = anchor_trait()
    """Anchor C."""
    domain = DomainTrait(None, allow_none=True).tag(sync=True)
    """The polygon on show as a list of corners in slice coordinates, None for the default square. Settable."""
    color_by = ColouringTrait("class").tag(sync=True)
    """What the cells' colours mean. Settable."""
    layer = LayerTrait(None, allow_none=True).tag(sync=True)
    """The layer of kinks whose lines are strong, None for all. Settable."""
    status = traitlets.Dict(read_only=True).tag(sync=True)
    error = traitlets.Unicode("", read_only=True).tag(sync=True)

    _request = traitlets.Dict().tag(sync=True, echo_update=False)
    _colourings = traitlets.List(traitlets.Unicode()).tag(sync=True)
    """The names in `COLOR_BY` that the model has; the browser offers them."""
    _layers = traitlets.List(traitlets.Unicode()).tag(sync=True)
    """The names of the layers of kinks."""

    input_shape: tuple[int, ...] | None = None
    _is_closed = True  # until it is made: one that could not be made has nothing to close

    def __init__(
        self, model: Any, x1: Any, x2: Any, x3: Any, images: Any = None, labels: Any = None, class_names: Any = None,
        background: Any = None, *, extent: Any = (-1.0, 1.0, -1.0, 1.0), domain: Any = None, color_by: str | None = None,
        layer: int | None = None, output: str | int | None = None, approximate: float | None = None,
        max_cells: int | None = MAX_CELLS, max_memory: int | None = MAX_MEMORY,
    ) -> None:
        anchors = Slice.through(x1, x2, x3)  # all checks of the anchors, before anything else
        shape = anchors.input_shape
        points = [as_numbers(x, name)[0] for x, name in ((x1, "x1"), (x2, "x2"), (x3, "x3"))]
        board = checked_board(images, labels, background, extent, shape)
        Budget.of(max_cells, max_memory)
        names = None if class_names is None else as_names(class_names, "class_names")
        check_labels(board, names)
        if not callable(model):
            raise TypeError(f"model: expected a torch module or a callable, got {type(model).__name__}")
        layout = layout_of(shape)
        renderer = board.renderer if isinstance(board, ImageBoard) else (
            None if layout is None else Renderer.of(layout, np.stack(points)))
        self._scene = Scene(model, points, board, None if domain is None else as_domain(domain), output, approximate,
                            lambda: Budget.of(max_cells, max_memory))
        network = self._scene.network
        # The outputs are then the picture's grey or RGB values, and not scores of classes.
        is_regression = isinstance(board, PlaneBoard) and names is None and network is not None and network.n_outputs in (1, 3)
        # Several outputs that are no classes have no decision to show.
        has_boundary = not is_regression or (network is not None and network.n_outputs == 1)
        self._views = Views(self._tell, board, renderer, Words(names, not is_regression, has_boundary))
        self._output, self._approximate = output, approximate
        self._next_network: Network | None = None
        self._newest_network = network
        """The one that was given last, on show or not; None where it was refused."""
        self._worker = Worker("splinecam-widget", threads.enter)
        self._answers = Worker("splinecam-widget-answers", threads.enter)
        self._lines = Worker("splinecam-widget-lines", threads.enter)
        scene = self._scene  # and not this widget, which a check that still runs would hold
        self._checks = Checks(self._worker, lambda: scene.shown)
        self._lock = threading.RLock()
        self._dirty: dict[str, Any] = {}
        self._own: dict[str, Any] = {}
        self._numbers = itertools.count(1)
        self._set_at: dict[str, int] = {}
        self._failure: Exception | None = None
        self._check_failure: Exception | None = None
        self.input_shape = shape
        self._is_closed = False
        default = "output" if is_regression else "class"
        super().__init__(
            x1=points[0], x2=points[1], x3=points[2], domain=corners(domain), _colourings=self._found_colourings(),
            color_by=color_by or default, _layers=_names_of_layers(network), layer=layer,
        )
        self._set_status("waiting", "")
        self.observe(self._anchors_set, ["x1", "x2", "x3", "domain"])
        self.observe(self._colours_set, ["color_by"])
        self.observe(self._layer_set, ["layer"])
        self.observe(self._requested, ["_request"])
        self.on_msg(self._message)
        self._ask(Wish(), {"sequence": 0, "view_id": None})
        if isinstance(board, ImageBoard) and network is not None:  # while the first picture's thread loads loops
            self._answers.submit("board", lambda _: _place(board))

    # -- what users call ---------------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        text = self.error.splitlines()[0].rstrip(":") if self.error else self.status.get("text", "")
        return f"SplineCamWidget({sizes_text(self.input_shape or ())} inputs; {text or 'waiting'})"

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _GIVEN_ONCE and not hasattr(type(self), name):  # which a class of the user's may have
            instead = "call update(model)" if name == "model" else "make another widget"
            raise AttributeError(f"{name}: it is given when the widget is made, and setting it changes nothing; {instead}")
        super().__setattr__(name, value)

    @property
    def partition(self) -> Partition | None:
        """The exact partition on show, None until the first is done."""
        shown = self._scene.shown
        return None if shown is None else shown.partition

    @property
    def certificate(self) -> Certificate | None:
        """The certificate of the partition on show, with a sample of its cells; None until it is there.

        It is computed in the background when nothing has been asked for during a moment. `wait` does not wait for it. For one
        at once, or of all cells, call `partition.certificate`.
        """
        return self._checks.of(self._scene.shown)

    @property
    def plane(self) -> Slice | None:
        """The slice on show."""
        partition = self.partition
        return None if partition is None else partition.plane

    def wait(self, timeout: float | None = None) -> Partition:
        """Wait until the exact partition of the current state is there, and return it. Its certificate may come later.

        Raises
        ------
        TimeoutError
            If it takes longer than `timeout` seconds.
        Exception
            What went wrong, if the current state cannot be computed.
        """
        if not self._worker.wait_idle(timeout):
            raise TimeoutError(f"no exact partition after {timeout} s; {self.status.get('text', '')}")
        if self._failure is not None:
            raise self._failure
        if self.partition is None:
            raise RuntimeError("the widget is closed")
        return self.partition

    def update(self, model: Any) -> None:
        """Show the model as it is now, for example after a step of training or with a weight on a slider.

        It is copied again. What the layers before the first one that has changed made of the slice is kept, if that was not
        zoomed or panned since it was computed. A chosen `layer` stays the number that it is, or becomes None where the
        model has fewer.

        Parameters
        ----------
        model : nn.Module or callable of torch operations
            With the inputs and the number of outputs of the one before.

        Raises
        ------
        UnsupportedModelError
            If it is not a CPWL network; the picture stays.
        ValueError
            If it has another number of outputs, or the widget is closed or refused the model before.
        """
        shape, before = self.input_shape, self._scene.network
        if shape is None or before is None:
            raise ValueError("model: expected an open widget that shows a model, got one that is closed or refused its model")
        network = lower(model, shape, self._output, self._approximate)
        if network.n_outputs != before.n_outputs:
            raise ValueError(f"model: expected {before.n_outputs} outputs as before, got {network.n_outputs}")
        with self._lock:
            self._next_network = self._newest_network = network
        self._ask(Wish(), {"sequence": 0, "view_id": None})

    def set_state(self, sync_data: dict[str, Any]) -> None:
        """Take what the browser has set; of what is refused, it gets back what stands."""
        try:
            super().set_state(sync_data)
        except Exception:
            self.send_state(set(self.keys) & set(sync_data))
            raise

    def open(self) -> None:
        """Open the comm to the browser."""
        super().open()
        # Since 7.4, ipykernel hands a message on a comm to the thread that last sent on it, which is the main one, busy or not,
        # until the first message of the browser has come through. No answer is awaited there: let the browser choose.
        self.comm._reply_subshell_for = lambda _data, asked: asked

    def close(self) -> None:
        """End the workers and free everything. The widget cannot be used afterwards."""
        if not self._is_closed:
            self._is_closed = True
            self._worker.close()
            self._answers.close()
            self._lines.close()
            self._checks.close()
            self._views.close()
            self._scene.close()
            self._failure = self._newest_network = None
            self.set_trait("status", {**self.status, "state": "closed", "text": "Closed"})
        super().close()

    # -- what is asked for ---------------------------------------------------------------------------------------------

    def check_colouring(self, color_by: str) -> None:
        """Raise ValueError if the model has no such colouring."""
        if color_by not in self._colourings:
            is_output = color_by == "output"
            why = "that needs one or three outputs" if is_output else "outputs are classes where class_names are given"
            raise ValueError(
                f"color_by: expected one of {', '.join(self._colourings)} for this model, got {color_by!r}; {why}")

    def check_layer(self, layer: Any) -> int:
        """A number checked: ValueError if neither the model on show nor one that comes has such a layer of kinks."""
        newest = self._newest_network
        if newest is None and not self._is_closed:  # refused: of an unknown model all may be asked for
            return as_count(layer, 0, 2**31 - 1, "layer", "None or the number of a layer of kinks")
        n = max(len(self._layers), 0 if newest is None else len(newest.layers))
        try:
            return as_count(layer, 0, n - 1, "layer", "")
        except ValueError:
            expected = (f"None or a layer of kinks from 0 to {n - 1}" if n > 1 else "None or 0, the only layer of kinks" if n
                        else "None for a model without kinks")
            raise ValueError(f"layer: expected {expected}, got {layer!r}") from None

    def _found_colourings(self) -> list[str]:
        network = self._scene.network
        missing = set() if self._views.words.is_class else {"class", "margin"}
        if network is not None and network.n_outputs not in (1, 3):
            missing.add("output")
        return [name for name in COLOR_BY if name not in missing]

    def _anchors_set(self, change: Any) -> None:
        """A trait was set, by the user or by a link (or by this widget itself, which is nothing new)."""
        name, value = change["name"], change["new"]
        with self._lock:
            # Another thread's hold_trait_notifications may deliver this widget's own change late and elsewhere.
            if name in self._own and _is_same(self._own[name], value):
                del self._own[name]
                return
            self._dirty[name] = value
            self._set_at[name] = next(self._numbers)
        self._ask(Wish(), {"sequence": 0, "view_id": None})

    def _requested(self, change: Any) -> None:
        """The browser's newest wish."""
        request = change["new"]
        if not request:
            return
        asked = {"sequence": request.get("sequence", 0), "view_id": request.get("view_id")}
        try:
            wish = wish_of(request)
        except (KeyError, TypeError, ValueError) as error:
            refused = ValueError(f"request: expected one as in docs/protocol.md, got {request!r} ({error})")
            self._worker.submit(("show", asked["view_id"]), lambda _: self._refuse(refused, asked))
            return
        with self._lock:  # what the browser asks for is newer than what was set
            for name, anchor in zip(ANCHORS, wish.anchors):
                if not isinstance(anchor, str):
                    self._dirty.pop(name, None)
            if not isinstance(wish.domain, str):
                self._dirty.pop("domain", None)
        self._ask(wish, asked)

    def _ask(self, wish: Wish, asked: dict[str, Any]) -> None:
        """Queue a wish. Each view waits for answers to its own requests, so none replaces another's, nor does Python."""
        hold_off()
        received, number = time.time(), next(self._numbers)
        self._worker.submit(("show", asked["view_id"]), lambda tick: self._show(wish, number, asked, received, tick))

    def _colours_set(self, _: Any) -> None:
        self._worker.submit("colours", lambda _: self._recolour())

    def _layer_set(self, _: Any) -> None:
        self._want_lines()

    def _want_lines(self) -> None:
        """Of the picture on show, whatever is computed meanwhile; where edges do not tell them, that takes a while itself."""
        self._lines.submit("lines", lambda _: self._redraw_lines())

    def _message(self, _widget: Any, content: dict[str, Any], _buffers: list[Any]) -> None:
        """A message from the browser: only queued, so that the next one gets through."""
        if content.get("kind") == "hello":
            self._answers.submit(("hello", content["view_id"]), lambda _: self._views.greet())
        elif content.get("kind") == "inspect":
            hold_off()
            self._answers.submit(("inspect", content["view_id"]), lambda _: self._inspect(content))

    # -- on the workers' threads ---------------------------------------------------------------------------------------

    def _show(self, wish: Wish, number: int, asked: dict[str, Any], received: float, tick: Callable[[], None]) -> None:
        with self._lock:
            network, self._next_network = self._next_network, None
            dirty = dict(self._dirty)
            later = {name for name, set_at in self._set_at.items() if set_at > number}
        if network is not None:
            self._scene.update(network)
        wish = with_traits(wish, dirty, later)
        started = time.perf_counter()
        try:
            with with_loops(tick, self._wait_for_loops) as look:
                self._set_status("computing", "Computing", asked)
                shown = self._scene.show(wish, look, self._views.words.check, lambda sketched: self._sketch(sketched, asked))
                engine = time.perf_counter() - started
                with self._lock:
                    self._dirty = {name: value for name, value in self._dirty.items() if value is not dirty.get(name, KEEP)}
                self._publish(shown, asked, {"received": received, "engine": engine})
            self._failure = self._check_failure = None
            self._renew_error()
            self._set_status(state_of(shown), text_of(shown), asked, shown)
            self._checks.begin(shown, lambda found: self._checked(shown, asked, found))
        except Cancelled:
            raise
        except Exception as error:
            if not self._is_closed:
                self._refuse(error, asked)

    def _wait_for_loops(self, is_kept: bool) -> None:
        self._set_status("compiling", "Loading the engine's loops" if is_kept else
                         "Compiling the engine's loops, once per machine (one to three minutes)")

    def _sketch(self, sketched: Sketched, asked: dict[str, Any]) -> None:
        """Show what is known of a picture that takes long."""
        sketch = sketched.sketch
        cells = f", {sketch.n_cells:,} cells so far" if sketch.n_cells else ""
        done, in_all = sketch.n_layers, sketch.n_layers_in_all
        layers = f"layer of {in_all}" if done == 1 else f"{done} of {in_all} layers"
        share = f", all of them on {percent_text(sketch.share)} of the domain" if sketch.share else ""
        self._set_status("computing", f"Computing; lines of the first {layers}{cells}{share}", asked)
        self._views.sketch(sketched, asked)

    def _refuse(self, error: Exception, asked: dict[str, Any]) -> None:
        self._failure = error
        self._renew_error()
        is_hopeless = isinstance(error, UnsupportedModelError) and self._scene.shown is None
        self._set_status("refused" if is_hopeless else "error", self._refusal_status(error), asked)
        self._views.fail(error, self._refusal_text(error), asked)

    def _refusal_text(self, error: Exception) -> str:
        """What went wrong, and that the picture on show is not the one asked for."""
        text = error_text(error)
        if self._scene.shown is None:
            return text
        separator = "\n\n" if "\n" in text else " "
        return f"{text}{separator}The picture is the last one that could be drawn."

    def _refusal_status(self, error: Exception) -> str:
        """One line; the message is elsewhere."""
        if self._scene.shown is not None:
            return "Not drawn; see the message"
        if isinstance(error, UnsupportedModelError):
            return "This model cannot be computed; see the message"
        return "Nothing can be drawn; see the message"

    def _publish(self, shown: Shown, asked: dict[str, Any], timing: dict[str, float]) -> None:
        """Send what changed, and set the traits to it; not to be stopped, as the scene shows it already."""
        layer = self.layer
        if not self._views.show(shown, self.color_by, layer, asked, timing) or self.layer != layer:
            self._want_lines()
        self._follow_layers(shown.partition.network)
        domain = None if shown.is_default_domain else corners(shown.partition.asked_plane.domain)
        for name, value in (*zip(ANCHORS, (anchor.x for anchor in shown.anchors)), ("domain", domain)):
            with self._lock:
                if name in self._dirty or _is_same(getattr(self, name), value):
                    continue
                self._own[name] = value
            setattr(self, name, value)

    def _follow_layers(self, network: Network) -> None:
        """Offer the layers of the model on show; one that it does not have, nor the next one, is chosen no more."""
        self._layers = _names_of_layers(network)
        layer = self.layer
        if layer is not None and layer >= len(self._layers) and network is self._newest_network:
            self.layer = None

    def _checked(self, shown: Shown, asked: dict[str, Any], found: Certificate | Exception) -> None:
        """The checks of a picture are done; if it is still on show, say so. On the checks' thread."""
        with self._views.lock:  # which the next picture needs to be kept
            if self._scene.shown is not shown:
                return
            self._views.certify(shown, asked, found)
            self._check_failure = found if isinstance(found, Exception) else None
        self._renew_error()

    def _renew_error(self) -> None:
        """Set `error`, which threads of pictures and checks may both be about to do, to what stands."""
        while self.error != (text := self._standing_error()):
            self._set_error(text)

    def _standing_error(self) -> str:
        """What is wrong with the picture on show, "" if nothing is."""
        if self._failure is not None:
            return self._refusal_text(self._failure)
        return "" if self._check_failure is None else f"The picture could not be checked: {error_text(self._check_failure)}"

    def _recolour(self) -> None:
        shown = self._scene.shown
        if shown is None:
            return
        try:
            is_done = self._views.recolour(shown, self.color_by)
        except Exception as error:
            self._set_error(error_text(error))
        else:
            if is_done:
                self._renew_error()

    def _redraw_lines(self) -> None:
        shown = self._scene.shown
        if shown is not None:
            try:
                self._views.redraw_lines(shown, self.layer)
            except Exception as error:
                self._set_error(error_text(error))

    def _inspect(self, content: dict[str, Any]) -> None:
        shown = self._scene.shown
        if shown is not None:
            self._views.inspect(shown, content)

    # -- to the browser ------------------------------------------------------------------------------------------------

    def _tell(self, content: dict[str, Any], buffers: list[bytes]) -> None:
        if not self._is_closed:
            self.send(content, buffers)

    def _set_error(self, text: str) -> None:
        self.set_trait("error", text)

    def _set_status(self, state: str, text: str, asked: dict[str, Any] | None = None, shown: Shown | None = None) -> None:
        if self._is_closed:
            return
        network = self._scene.network
        note = "The model is in training mode; it is computed as in eval mode, on a copy." if (
            network is not None and network.was_training) else ""
        status = {**self.status, "state": state, "text": text, "note": note, **(asked or {})}
        if shown is not None:
            status |= {
                "cells": shown.partition.n_cells, "regions": shown.partition.n_regions, "seconds": shown.seconds,
                "vertices_evaluated": shown.work.vertices_evaluated, "cells_reused": shown.work.cells_reused,
            }
        self.set_trait("status", status)


def _names_of_layers(network: Network | None) -> list[str]:
    return [] if network is None else [layer.name for layer in network.layer_records]


def _place(board: ImageBoard) -> None:
    with suppress(Exception):  # raised again by the picture that needs it
        _ = board.positions


def _is_same(first: Any, second: Any) -> bool:
    return (first is None) == (second is None) and (first is None or np.array_equal(first, second))


import_when_idle()
