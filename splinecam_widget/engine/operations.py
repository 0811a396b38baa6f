"""What the engine knows of each torch operation: is it affine, which arguments may vary, how do rounding errors pass it.

One table, `AFFINE`, and one for elementwise kinks, `KINKS`. Operations that choose among several values are rewritten in terms
of these by `selections`. Nothing here walks a graph.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

Arguments = Mapping[str, Any]
"""An operation's arguments by the names of its schema, defaults filled in."""


Terms = Callable[[Arguments, int, int], int]


@dataclass(frozen=True)
class Affine:
    """An operation that is affine in its varying arguments.

    Attributes
    ----------
    varying : tuple of str
        Arguments that may depend on the input.
    joint : bool
        Whether several of them may vary at once (a sum) or only one (a product).
    coefficients : {"selection", "average", "weights", "sum", "none"}
        The linear part: entries 0 and 1 with one 1 a row; entries in [0, 1] that sum to at most 1; anything; 1 and `alpha`;
        zeros, where only shapes come from the input.
    squared : callable
        Arguments -> arguments of the same operation with every coefficient squared, for "weights".
    added : tuple of str
        Constant arguments that are added to the linear part; so are constants in place of varying arguments.
    terms : callable
        Arguments, entries of the input, entries of the output -> how many terms one output entry sums at most.
    refusal : callable
        Arguments -> why this use is not affine, or "".
    """

    varying: tuple[str, ...]
    joint: bool = False
    coefficients: str = "selection"
    squared: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    added: tuple[str, ...] = ()
    terms: Terms = lambda *_: 1
    refusal: Callable[[Arguments], str] = lambda _: ""


@dataclass(frozen=True)
class Kink:
    """An elementwise CPWL activation.

    Attributes
    ----------
    varying : str
        The argument that depends on the input.
    knots : callable
        Arguments -> where it bends: numbers, or tensors that broadcast to the unit's shape.
    slope : callable
        Arguments -> its largest slope's magnitude.
    at_zero : callable
        Arguments -> a bound of its magnitude at zero.
    refusal : callable
        Arguments -> why this use is not continuous, or "".
    """

    varying: str = "self"
    knots: Callable[[Arguments], tuple[Any, ...]] = lambda _: (0.0,)
    slope: Callable[[Arguments], float] = lambda _: 1.0
    at_zero: Callable[[Arguments], float] = lambda _: 0.0
    refusal: Callable[[Arguments], str] = lambda _: ""


def _square_of(*names: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def squared(arguments: dict[str, Any]) -> dict[str, Any]:
        return {k: _square(v) if k in names else v for k, v in arguments.items()}

    return squared


def _square(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_square(v) for v in value]
    return value * value if isinstance(value, (torch.Tensor, float, int)) else value


def _fan_in(weight: str, axis_of_outputs: int) -> Terms:
    def terms(arguments: Arguments, *_: int) -> int:
        tensor = arguments[weight]
        return max(1, int(tensor.numel()) // max(1, int(tensor.shape[axis_of_outputs])))

    return terms


def _batch_norm_squared(arguments: dict[str, Any]) -> dict[str, Any]:
    # y = x g + h with g = weight / sqrt(var + eps): squaring g squares weight and (var + eps).
    variance = arguments["running_var"] + arguments["eps"]
    shift = arguments["running_mean"] ** 2
    return {
        **arguments, "weight": _square(arguments["weight"]), "bias": _square(arguments["bias"]),
        "running_mean": -shift, "running_var": variance * variance, "eps": 0.0,
    }


def _training(argument: str) -> Callable[[Arguments], str]:
    def refusal(arguments: Arguments) -> str:
        return "it is random: it does as in training mode, whatever the model does" if arguments[argument] else ""

    return refusal


def _no_statistics(arguments: Arguments) -> str:
    if arguments.get("training") or arguments["running_mean"] is None:
        return "it divides by statistics of the batch"
    return ""


def _moves_the_batch(arguments: Arguments) -> str:
    """Axes are counted from the front by then; see `arguments`."""
    given = [arguments[name] for name in ("dim", "dims", "dim1", "dim2", "dimension") if name in arguments]
    axes = [axis for value in given for axis in (value if isinstance(value, (list, tuple)) else [value])]
    return _MIXES if not axes or 0 in axes else ""


_MIXES = "it mixes the inputs of a batch (the first axis must stay the batch axis)"


def _writes_rows(arguments: Arguments) -> str:
    start, end, step = arguments["start"], arguments["end"], arguments["step"]
    is_whole = start in (None, 0) and step == 1 and (end is None or end == sys.maxsize)
    return "" if is_whole else _moves_the_batch(arguments)


def _pads_oddly(arguments: Arguments) -> str:
    mode, pad = arguments.get("mode"), list(arguments["pad"])
    if len(pad) > 2 * (arguments["n_axes"] - 1) and any(pad[2 * (arguments["n_axes"] - 1):]):
        return _MIXES
    return "" if mode in (None, "constant", "reflect", "replicate", "circular") else f"its mode {mode} is not known"


def _rounds(arguments: Arguments) -> str:
    return "it rounds" if arguments.get("rounding_mode") else ""


def _not_float(arguments: Arguments) -> str:
    dtype = arguments.get("dtype")
    return "" if dtype is None or dtype.is_floating_point else f"it rounds to {dtype}"


_WINDOW = ("kernel_size",)


def _window(arguments: Arguments, *_: int) -> int:
    size = 1
    for k in arguments["kernel_size"]:
        size *= int(k)
    return size


def _matrix_terms(arguments: Arguments, *_: int) -> int:
    for name in ("self", "mat1", "mat2", "other"):
        value = arguments.get(name)
        if isinstance(value, torch.Tensor) and value.ndim:
            return max(int(s) for s in value.shape)
    return 1


def _several_vary(arguments: Arguments) -> str:
    varying = [v for v in arguments["tensors"] if not isinstance(v, torch.Tensor)]
    return "it multiplies two tensors that both depend on the input" if len(varying) > 1 else ""


def _all(_: Arguments, n_in: int, __: int) -> int:
    return n_in


def _share(_: Arguments, n_in: int, n_out: int) -> int:
    return -(-n_in // max(1, n_out))


def _adaptive(_: Arguments, n_in: int, n_out: int) -> int:
    """An adaptive window may reach one place farther at either end of an axis."""
    return min(n_in, 27 * _share(_, n_in, n_out))


_SELECTION = Affine(("self",))
_CONVOLUTION = Affine(("input",), coefficients="weights", squared=_square_of("weight", "bias"), added=("bias",),
                      terms=_fan_in("weight", 0))
_AVERAGE = Affine(("self",), coefficients="average", terms=_window)
# Constants as large as the batch: the part of an affine operation that is added, with nothing multiplied.
_FILLED = Affine(("self",), coefficients="none", refusal=_not_float)
_SUM = Affine(("self",), coefficients="weights", squared=lambda a: a, terms=_share, refusal=_not_float)

AFFINE: dict[str, Affine] = {
    **dict.fromkeys(
        ("view", "reshape", "_unsafe_view", "_reshape_alias", "flatten", "unflatten", "permute", "transpose", "t", "movedim",
         "squeeze", "unsqueeze", "slice", "select", "narrow", "clone", "contiguous", "alias", "detach", "expand",
         "lift_fresh_copy", "identity", "detach_", "swapaxes", "mT", "numpy_T", "split", "chunk",
         "split_with_sizes", "unbind", "repeat", "unsafe_split", "unsafe_chunk", "tensor_split", "im2col", "index", "tile",
         "pixel_shuffle", "pixel_unshuffle", "channel_shuffle", "native_channel_shuffle", "broadcast_to", "moveaxis",
         "swapdims", "adjoint", "reflection_pad1d", "reflection_pad2d", "reflection_pad3d", "replication_pad1d",
         "replication_pad2d", "replication_pad3d"),
        _SELECTION,
    ),
    **dict.fromkeys(("flip", "roll", "repeat_interleave", "diagonal", "unfold", "index_select"),
                    Affine(("self",), refusal=_moves_the_batch)),
    **dict.fromkeys(("upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d", "_upsample_nearest_exact1d",
                     "_upsample_nearest_exact2d", "_upsample_nearest_exact3d"), Affine(("input", "self"))),
    **dict.fromkeys(("upsample_linear1d", "upsample_bilinear2d", "upsample_trilinear3d"),
                    Affine(("input", "self"), coefficients="average", terms=lambda *_: 8)),
    "getitem": _SELECTION,
    **dict.fromkeys(("_to_copy", "to", "type_as"), Affine(("self",), refusal=_not_float)),
    **dict.fromkeys(("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout"),
                    Affine(("input",), refusal=_training("train"))),
    **dict.fromkeys(("native_dropout",), Affine(("input",), refusal=_training("train"))),
    **dict.fromkeys(("cat", "concat", "concatenate", "stack", "hstack", "vstack"), Affine(("tensors",), joint=True)),
    **dict.fromkeys(("constant_pad_nd", "pad"),
                    Affine(("self",), squared=_square_of("value"), added=("value",), refusal=_pads_oddly)),
    # The other only gives its shape.
    **dict.fromkeys(("expand_as", "view_as", "reshape_as"), Affine(("self", "other"), joint=True)),
    "where": Affine(("self", "other"), joint=True),
    "masked_fill": Affine(("self",), squared=_square_of("value"), added=("value",)),
    "fill": Affine(("self",), coefficients="none"),
    "slice_scatter": Affine(("self", "src"), joint=True, refusal=_writes_rows),
    "select_scatter": Affine(("self", "src"), joint=True, refusal=_moves_the_batch),
    "copy": Affine(("self", "src"), joint=True),
    **dict.fromkeys(("ones_like", "zeros_like", "full_like"), _FILLED),
    **dict.fromkeys(("ones", "zeros", "full", "new_ones", "new_zeros", "new_full"), _FILLED),
    **dict.fromkeys(("conv1d", "conv2d", "conv3d", "convolution"), _CONVOLUTION),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"),
                    Affine(("input",), coefficients="weights", squared=_square_of("weight", "bias"), added=("bias",),
                           terms=_fan_in("weight", 1))),
    "einsum": Affine(("tensors",), coefficients="weights", squared=_square_of("tensors"), terms=_all,
                     refusal=_several_vary),
    "mv": Affine(("self",), coefficients="weights", squared=_square_of("vec"), terms=_all),
    "cumsum": Affine(("self",), coefficients="weights", squared=lambda a: a, terms=_all, refusal=_moves_the_batch),
    "col2im": Affine(("self",), coefficients="weights", squared=lambda a: a, terms=_all),
    "linear": Affine(("input",), coefficients="weights", squared=_square_of("weight", "bias"), added=("bias",),
                     terms=_fan_in("weight", 0)),
    "addmm": Affine(("self", "mat1", "mat2"), coefficients="weights", squared=_square_of("self", "mat1", "mat2"),
                    added=("self",), terms=_matrix_terms),
    "mm": Affine(("self", "mat2"), coefficients="weights", squared=_square_of("self", "mat2"), terms=_matrix_terms),
    **dict.fromkeys(("matmul", "bmm"), Affine(("self", "other"), coefficients="weights",
                                              squared=_square_of("self", "other"), terms=_matrix_terms)),
    **dict.fromkeys(("batch_norm", "_native_batch_norm_legit_no_training"),
                    Affine(("input",), coefficients="weights", squared=_batch_norm_squared,
                           added=("bias", "running_mean"), terms=lambda *_: 4, refusal=_no_statistics)),
    **dict.fromkeys(("avg_pool1d", "avg_pool2d", "avg_pool3d"), _AVERAGE),
    **dict.fromkeys(("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "_adaptive_avg_pool2d"),
                    Affine(("self",), coefficients="average", terms=_adaptive)),
    "mean": Affine(("self",), coefficients="average", terms=_share, refusal=_not_float),
    "sum": _SUM,
    **dict.fromkeys(("add", "sub", "rsub"), Affine(("self", "other"), joint=True, coefficients="sum")),
    **dict.fromkeys(("mul", "multiply"),
                    Affine(("self", "other"), coefficients="weights", squared=_square_of("self", "other"))),
    **dict.fromkeys(("div", "divide", "true_divide"),
                    Affine(("self",), coefficients="weights", squared=_square_of("other"), refusal=_rounds)),
    **dict.fromkeys(("neg", "negative"), Affine(("self",), coefficients="weights", squared=lambda a: a)),
    "spectrum": Affine(("self",)),  # see `spectra`
    # Of `selections`, with arguments by number.
    "shifted": Affine(("0",), coefficients="weights", squared=lambda a: {**a, "1": -a["1"] ** 2}, added=("1",)),
    "entries": Affine(("0",)),
    "differences": Affine(("0",), coefficients="weights", squared=lambda a: {**a, "1": 1.0}, terms=lambda *_: 2),
    "gaps": Affine(("0",), coefficients="weights", squared=lambda a: {**a, "3": 1.0}, terms=lambda *_: 2),
    "beside": Affine(("0", "1"), joint=True),
    "shaped": Affine(("0",)),
    "negated": Affine(("0",), coefficients="weights", squared=lambda a: a),
    "listed": Affine(("0",)),
    "settled": Affine(("0",)),
}
"""Affine operations by name (`aten::` left out, in-place forms under the plain name)."""


def _largest(*values: Any) -> float:
    """The largest magnitude among numbers and tensors; None counts as nothing."""
    sizes = [abs(float(v)) if not isinstance(v, torch.Tensor) else float(v.abs().max()) for v in values if v is not None]
    return max([0.0, *sizes])


def _limits(*names: str) -> Callable[[Arguments], tuple[Any, ...]]:
    """Limits that are there, without infinite and repeated ones."""
    def limits(arguments: Arguments) -> tuple[Any, ...]:
        given = [arguments[name] for name in names if arguments.get(name) is not None]
        numbers = {float(v): None for v in given if not isinstance(v, torch.Tensor) and math.isfinite(v)}
        return *numbers, *(v for v in given if isinstance(v, torch.Tensor))

    return limits


def _clamped(*names: str) -> Kink:
    return Kink(knots=_limits(*names), at_zero=lambda a: _clamped_zero(a, names), refusal=_crossed)


def _clamped_zero(arguments: Arguments, names: tuple[str, ...]) -> float:
    low, high = (next((arguments[n] for n in names if side in n and arguments.get(n) is not None), None)
                 for side in ("min", "max"))
    if low is None and high is None:
        return 0.0
    return _largest(torch.zeros(1, dtype=torch.float64).clamp(
        None if low is None else torch.as_tensor(low), None if high is None else torch.as_tensor(high)))


def _crossed(arguments: Arguments) -> str:
    """Min > max is allowed by torch and gives a constant; nobody means it."""
    low, high = (arguments.get(k[0]) if arguments.get(k[0]) is not None else arguments.get(k[1])
                 for k in (("min", "min_val"), ("max", "max_val")))
    if low is None or high is None:
        return ""
    return "its lower limit is above the upper one" if bool((torch.as_tensor(low) > torch.as_tensor(high)).any()) else ""


def _jumps(arguments: Arguments) -> str:
    return "" if float(arguments["value"]) == float(arguments["threshold"]) else (
        "it is not continuous: its value below the threshold is another than the threshold")


def _random_slopes(arguments: Arguments) -> str:
    return "it is random in training mode" if arguments["training"] else ""


def _steepest(arguments: Arguments) -> float:
    knots, values, period = arguments["1"], arguments["2"], arguments["3"]
    if period is not None:
        knots, values = torch.cat([knots, knots[:1] + period]), torch.cat([values, values[:1]])
    return _largest(values.diff() / knots.diff())


def _size_at_zero(arguments: Arguments) -> float:
    """A bound of a curve at zero: the largest at its knots, and its steepest way from there."""
    return _largest(arguments["2"]) + _steepest(arguments) * float(arguments["1"].abs().min())


KINKS: dict[str, Kink] = {
    "relu": Kink(),
    "leaky_relu": Kink(slope=lambda a: _largest(1.0, a["negative_slope"])),
    "prelu": Kink(slope=lambda a: _largest(1.0, a["weight"])),
    "rrelu": Kink(slope=lambda a: _largest(1.0, (a["lower"] + a["upper"]) / 2), refusal=_random_slopes),
    "abs": Kink(),
    "relu6": Kink(knots=lambda _: (0.0, 6.0)),
    "hardtanh": _clamped("min_val", "max_val"),
    "hardsigmoid": Kink(knots=lambda _: (-3.0, 3.0), slope=lambda _: 1 / 6, at_zero=lambda _: 0.5),
    "clamp": _clamped("min", "max"),
    "clip": _clamped("min", "max"),
    "clamp_min": _clamped("min"),
    "clamp_max": _clamped("max"),
    "threshold": Kink(knots=lambda a: (float(a["threshold"]),), at_zero=lambda a: _largest(a["value"]), refusal=_jumps),
    # Of `selections`, `curves` and `switches`, with arguments by number.
    "larger_of_pairs": Kink(varying="1"),
    "exchanged": Kink(varying="1"),
    "piecewise_linear": Kink(varying="0", slope=_steepest, at_zero=_size_at_zero),
    **dict.fromkeys(("is_above", "is_below", "sign_of", "step_of"), Kink(varying="0")),
}
"""Elementwise CPWL activations by name, and the larger of neighbours (see `selections`)."""

REPLACEMENTS: dict[str, str] = {
    "gelu": "ReLU or LeakyReLU", "silu": "ReLU or LeakyReLU", "mish": "ReLU or LeakyReLU", "elu": "LeakyReLU",
    "selu": "LeakyReLU", "celu": "LeakyReLU", "softplus": "ReLU",
    "tanh": "a CPWL activation (as the last operation it is set aside)",
    "sigmoid": "a CPWL activation (as the last operation it is set aside)",
    "softmax": "nothing inside the network (as the last operation it is set aside)",
    "sin": "a CPWL activation", "cos": "a CPWL activation", "exp": "a CPWL activation", "pow": "a CPWL activation",
    "layer_norm": "BatchNorm", "native_layer_norm": "BatchNorm", "group_norm": "BatchNorm", "native_group_norm": "BatchNorm",
    "instance_norm": "BatchNorm", "rms_norm": "BatchNorm", "hardswish": "ReLU6", "hardshrink": "Softshrink",
    "scaled_dot_product_attention": "fixed mixing weights", "mul": "a constant factor", "matmul": "a constant matrix",
    **dict.fromkeys(("floor", "ceil", "round", "trunc", "frac", "remainder", "fmod"),
                    "for a periodic wave: splinecam_widget.nn.PiecewiseLinear(knots, values, period)"),
    **dict.fromkeys(("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout", "native_dropout"),
                    "training=self.training"),
    "rand_like": "a constant", "randn_like": "a constant", "bernoulli": "a constant",
}
"""What to use instead of an operation that is refused."""

_RECURRENT = "it is recurrent: its gates multiply tensors that depend on the input"
_ATTENTION = "its inner softmax weighs by what depends on the input"

WHOLE_MODULES: dict[str, tuple[str, str]] = {
    "MultiheadAttention": (_ATTENTION, "fixed mixing weights"),
    **dict.fromkeys(("GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "RNNCell"), (_RECURRENT, "convolutions over time")),
}
"""torch modules that are refused as a whole, with why, and what to use instead."""

REASONS: dict[str, str] = {
    "scaled_dot_product_attention": _ATTENTION,
    **dict.fromkeys(("gru", "lstm", "rnn_tanh", "rnn_relu", "gru_cell", "lstm_cell"), _RECURRENT),
    **dict.fromkeys(("gelu", "silu", "mish", "elu", "selu", "celu", "softplus", "tanh", "sigmoid", "softmax", "sin", "cos",
                     "exp", "pow", "log_softmax", "log", "sqrt", "rsqrt", "erf", "log_sigmoid"),
                    "it is smooth, not piecewise linear"),
    **dict.fromkeys(("layer_norm", "native_layer_norm", "group_norm", "native_group_norm", "instance_norm", "rms_norm"),
                    "it divides by statistics of the data"),
    "hardswish": "it is quadratic between its knots",
    **dict.fromkeys(("hardshrink", "round", "floor", "ceil", "trunc", "frac", "remainder", "fmod", "argmax"),
                    "it is not continuous"),
    **dict.fromkeys(("rand_like", "randn_like", "bernoulli", "multinomial"), "it is random"),
}
"""Why an operation is refused, where more can be said than that it is not in the tables."""
