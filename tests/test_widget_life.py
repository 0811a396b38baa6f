"""The model a widget was given, and what is left when it is closed."""

from __future__ import annotations

import copy
import gc
import random
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from splinecam_widget import Slice, SplineCamWidget, _scheduler, compute_partition
from splinecam_widget.engine import warmup
from splinecam_widget.engine.explorer import Explorer
from widget_checks import assert_same_partition, fresh_partition, small_net
from widget_wire import (
    IMAGES,
    NET,
    SECONDS,
    MakeWidget,
    tell,
)


class TestLoops:
    @pytest.mark.parametrize(("is_kept", "text"), [
        (True, "Loading the engine's loops"), (False, "Compiling the engine's loops, once per machine (one to three minutes)")])
    def test_says_whether_they_are_compiled_or_loaded(
        self, make: MakeWidget, monkeypatch: pytest.MonkeyPatch, is_kept: bool, text: str
    ) -> None:
        w = make(NET)
        w.wait(SECONDS)
        said: list[tuple[str, str]] = []
        w.observe(lambda change: said.append((change["new"]["state"], change["new"]["text"])), ["status"])
        for name in ("_done", "_ready"):
            monkeypatch.setattr(warmup, name, threading.Event())
        compiled: list[str] = []
        monkeypatch.setattr(warmup, "warm_up", lambda: compiled.append("loops"))
        monkeypatch.setattr(warmup, "is_on_disk", lambda: is_kept)
        w.x1 = IMAGES[5]
        w.wait(SECONDS)
        assert ("compiling", text) in said
        assert [state for state, _ in said].count("compiling") == 1
        assert compiled == ([] if is_kept else ["loops"])
        assert gc.isenabled()


class TestModel:
    def model(self) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            model = nn.Sequential(nn.Flatten(), nn.Linear(9, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(), nn.Linear(8, 3))
            model(torch.randn(16, 1, 3, 3)).sum().backward()
        return model

    @pytest.mark.parametrize("is_training", [True, False])
    def test_is_left_as_it_was(self, make: MakeWidget, is_training: bool) -> None:
        model = self.model().train(is_training)
        model[1].eval()
        calls: list[int] = []
        handle = model[3].register_forward_hook(lambda *_: calls.append(1))
        before = copy.deepcopy(model.state_dict())
        grads = [None if p.grad is None else p.grad.clone() for p in model.parameters()]
        ids = [id(p) for p in model.parameters()]
        modes = [m.training for m in model.modules()]
        w = make(model)
        w.wait(SECONDS)
        w.x1 = IMAGES[5]
        w.wait(SECONDS)
        w.close()
        for name, value in model.state_dict().items():
            assert value.dtype == before[name].dtype
            assert value.device == before[name].device
            assert torch.equal(value, before[name])
        for p, grad in zip(model.parameters(), grads):
            assert p.requires_grad
            assert p.grad is not None
            assert grad is not None
            assert torch.equal(p.grad, grad)
        assert [id(p) for p in model.parameters()] == ids
        assert [m.training for m in model.modules()] == modes
        assert list(model[3]._forward_hooks) == [handle.id]

    def test_in_training_mode_is_computed_as_eval_and_said_so(self, make: MakeWidget) -> None:
        w = make(self.model())
        found = w.wait(SECONDS)
        assert_same_partition(found, compute_partition(self.model().eval(), found.plane))
        assert "training mode" in w.status["note"]
        w = make(self.model().eval())
        w.wait(SECONDS)
        assert w.status["note"] == ""

    def test_is_copied_at_once_and_not_held(self, make: MakeWidget) -> None:
        model = nn.Sequential(nn.Flatten(), *small_net(9, 3)).eval()
        w = make(model)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.zero_()
        assert_same_partition(w.wait(SECONDS), fresh_partition(NET, Slice.through(*IMAGES[:3])))
        gone = weakref.ref(model)
        del model, parameter
        gc.collect()
        assert gone() is None

    def test_user_computes_while_the_widget_traces(self, make: MakeWidget) -> None:
        both = {"widget": threading.Event(), "user": threading.Event(), "widget is done": threading.Event()}

        def traced_by(mine: str, other: str) -> Callable[[torch.Tensor], torch.Tensor]:
            def model(x: torch.Tensor) -> torch.Tensor:
                both[mine].set()
                both[other].wait(1.0)  # in vain where one of them waits until the other has traced
                return x.flatten(1)[:, :2].relu()

            return model

        w = make(traced_by("widget", "user"))
        assert both["widget"].wait(SECONDS)
        threading.Thread(target=lambda: (w._worker.wait_idle(SECONDS), both["widget is done"].set()), daemon=True).start()
        found = compute_partition(traced_by("user", "widget is done"), Slice.through(*IMAGES[:3]))
        assert_same_partition(w.wait(SECONDS), found)

    def test_random_numbers_of_the_user_stay(self, make: MakeWidget, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(warmup, "_done", threading.Event())  # as in a fresh process
        before = torch.get_rng_state(), np.random.get_state(), random.getstate()
        w = make(images=IMAGES)
        w.wait(SECONDS)
        tell(w, kind="hello", view_id="v")
        assert torch.equal(torch.get_rng_state(), before[0])
        assert str(np.random.get_state()) == str(before[1])
        assert random.getstate() == before[2]


class TestClose:
    def threads(self) -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if thread.name.startswith("splinecam-widget")]

    def join(self) -> None:
        for thread in self.threads():
            thread.join(SECONDS)
        assert self.threads() == []

    def test_twice_and_then_nothing_happens(self, w: SplineCamWidget) -> None:
        w.close()
        w.close()
        assert w.status["state"] == "closed"
        assert w.partition is None
        assert w.plane is None
        w.x1 = IMAGES[5]
        w.color_by = "area"
        with pytest.raises(RuntimeError, match="the widget is closed"):
            w.wait(SECONDS)
        assert w.status["state"] == "closed"
        self.join()

    def test_frees_what_it_showed_though_the_widget_is_held(self, w: SplineCamWidget) -> None:
        tell(w, kind="hello", view_id="v")
        found = w.wait(0)
        refs = [weakref.ref(thing) for thing in (found, found.vertices, found.values, found.cell_vertices, found.network)]
        w.close()
        self.join()
        del found
        gc.collect()
        assert [ref() for ref in refs] == [None] * len(refs)

    def test_frees_the_widget(self) -> None:
        w = SplineCamWidget(NET, *IMAGES[:3])
        w.wait(SECONDS)
        gone = weakref.ref(w)
        w.close()
        self.join()
        del w
        gc.collect()
        assert gone() is None

    def test_while_computing(self, make: MakeWidget, monkeypatch: pytest.MonkeyPatch) -> None:
        held, begun = threading.Event(), threading.Event()
        show = Explorer.show

        def slow(*arguments: Any) -> Any:
            begun.set()
            assert held.wait(SECONDS)
            return show(*arguments)

        monkeypatch.setattr(Explorer, "show", slow)
        w = make()
        assert begun.wait(SECONDS)
        w.close()
        held.set()
        self.join()
        assert w.partition is None
        assert w.status["state"] == "closed"
        assert w.error == ""

    @pytest.mark.slow
    def test_twenty_at_once(self, make: MakeWidget) -> None:
        self.join()
        widgets = [make() for _ in range(20)]
        expected = fresh_partition(NET, Slice.through(*IMAGES[:3])).n_cells if widgets[-1].wait(SECONDS) else 0
        for w in widgets:
            assert w.wait(SECONDS).n_cells == expected
            w.close()
        self.join()

    def test_threads_of_widgets_that_are_not_closed_end(self, make: MakeWidget, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(_scheduler, "IDLE_SECONDS", 0.0)
        widgets = [make() for _ in range(3)]
        for w in widgets:
            w.wait(SECONDS)
        self.join()
        widgets[0].x1 = IMAGES[5]  # and start again
        assert widgets[0].wait(SECONDS).n_cells > 0
        np.testing.assert_array_equal(widgets[0].x1, IMAGES[5])


AT_ONCE = """
import torch
from torch import nn
from splinecam_widget import SplineCamWidget

class Traced(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(9, 6), nn.Linear(6, 3)

    def forward(self, x):
        return self.last(torch.relu(self.first(x)))

x = torch.rand(3, 9)
plain = nn.Sequential(nn.Linear(9, 6), nn.ReLU(), nn.Linear(6, 3)).eval()
widgets = [SplineCamWidget(net, *x) for net in (plain, Traced().eval())]
print([widget.wait(120).n_cells > 0 for widget in widgets])
for widget in widgets:
    widget.close()
"""


@pytest.mark.slow
def test_two_widgets_made_at_once_in_a_fresh_process() -> None:
    """The first one's thread imports numba while the second one's model is traced on this."""
    done = subprocess.run([sys.executable, "-c", AT_ONCE], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[True, True]", done.stderr
