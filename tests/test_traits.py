"""What the widget's traits take, how they compare, and that they survive the way to the browser and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import traitlets

from splinecam_widget._traits import ColouringTrait, DomainTrait, LayerTrait, anchor_trait, corners


class Holder(traitlets.HasTraits):
    input_shape: tuple[int, ...] | None = (2,)
    x = anchor_trait()
    domain = DomainTrait(None, allow_none=True)
    color_by = ColouringTrait("class")
    layer = LayerTrait(None, allow_none=True)

    def check_colouring(self, color_by: str) -> None:
        if color_by == "output":
            raise ValueError("color_by: not of this model")

    def check_layer(self, layer: Any) -> int:
        if layer == 7:
            raise ValueError("layer: not of this model")
        return int(layer)


@pytest.mark.parametrize("value", [[1, 2], (1.0, 2.0), np.array([1, 2], np.uint8), torch.tensor([1.0, 2.0])])
def test_an_anchor_is_a_read_only_float64_array(value: Any) -> None:
    holder = Holder(x=value)
    assert holder.x.dtype == np.float64
    assert holder.x.tolist() == [1, 2]
    with pytest.raises(ValueError, match="read-only"):
        holder.x[0] = 3


def test_equal_anchors_are_no_change_and_parts_compare_as_arrays() -> None:
    holder = Holder(x=[1, 2])
    changes: list[Any] = []
    holder.observe(changes.append, "x")
    holder.x = [1.0, 2.0]
    assert changes == []
    holder.x = [1, 3]
    assert len(changes) == 1
    assert (holder.x[:1] == holder.x[:1]).tolist() == [True]
    assert (holder.x == holder.x) is True
    assert (holder.x != holder.x) is False


def test_an_anchor_travels_as_bytes() -> None:
    trait = Holder.class_traits()["x"]
    x = Holder(x=[0.1, -1e300]).x
    sent = trait.metadata["to_json"](x, None)
    assert sent == {"shape": [2], "data": x.tobytes()}
    np.testing.assert_array_equal(trait.metadata["from_json"](sent, None), x)
    assert trait.metadata["to_json"](None, None) is trait.metadata["from_json"](None, None) is None


@pytest.mark.parametrize(("name", "value", "text"), [
    ("x", [1.0, 2.0, 3.0], r"x: expected shape \(2,\), got \(3,\)"),
    ("x", [1.0, np.nan], "x: expected finite numbers, got NaN"),
    ("domain", [[0, 0], [1, 1]], "domain: expected the corners of a convex polygon"),
    ("color_by", "height", "color_by: expected one of class, margin, pattern"),
    ("color_by", "output", "color_by: not of this model"),
    ("layer", 7, "layer: not of this model"),
])
def test_refused(name: str, value: Any, text: str) -> None:
    with pytest.raises(ValueError, match=f"^{text}"):
        setattr(Holder(), name, value)


def test_a_layer_is_a_plain_number_or_none() -> None:
    holder = Holder(layer=np.int64(2))
    assert type(holder.layer) is int
    holder.layer = None
    assert holder.layer is None


def test_corners_are_counter_clockwise_numbers() -> None:
    assert corners(np.array([[0, 0], [0, 1], [1, 0]])) == [[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]
    assert corners(None) is None
