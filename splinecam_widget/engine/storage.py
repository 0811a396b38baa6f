"""Partitions in files: numpy's .npz without pickle, with slice, outputs, certificate and origin. Knows no torch."""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from .cells import Cells
from .certificate import Certificate
from .layers import Layer
from .planar import PlanarComplex
from .records import Made
from .replacing import replacing
from .slices import Slice, polygon_area

FORMAT = "splinecam_widget.partition"
FORMAT_VERSION = 1

ARRAYS: dict[str, tuple[str, int]] = {
    "origin": ("float64", -1), "basis": ("float64", -1), "domain": ("float64", 2), "anchors": ("float64", 2),
    "asked": ("float64", 2),
    "vertices": ("float64", 2), "values": ("float64", 2), "tolerance": ("float64", 1), "edges": ("int32", 2),
    "edge_layer": ("int32", 1), "edge_unit": ("int32", 1), "cell_offsets": ("int64", 1), "cell_vertices": ("int32", 1),
    "cell_edges": ("int32", 1), "cell_hashes": ("uint64", 1),
}
"""Of a file: dtype and number of axes, -1 where inputs have any. There are no `anchors` where the slice has none,
and it is `asked` where that is not the domain."""

NEEDS_NETWORK = frozenset({
    "active_circuit", "affine_maps", "flips", "input_jacobian", "network", "patterns", "zero_tolerances"})
"""What a `Partition` has and a partition from a file has not."""


@dataclass(frozen=True, eq=False)
class SavedPartition(Cells):
    """A partition from a file: its cells and outputs, without the network. Made by `load_partition`.

    Attributes
    ----------
    plane, planar, values, tolerance, n_close, n_zero, asked :
        As of a `Partition`.
    kept_certificate : Certificate
        As it came out when the partition was saved.
    model : dict
        What is known of the network: digest, input_shape, n_outputs, head, layers (path, operation, n_units and shape of each
        layer of kinks) and approximations (operation and deviation of each).
    versions : dict
        Of the packages that computed it.
    """

    kept_certificate: Certificate = field(kw_only=True)
    model: dict[str, Any] = field(kw_only=True)
    versions: dict[str, str] = field(kw_only=True)

    @property
    def is_exact(self) -> bool:
        """Whether it is of the user's network itself, and not of one with approximated activations."""
        return not self.model["approximations"]

    @property
    def layers(self) -> tuple[Layer, ...]:
        """What `edge_layer` and `edge_unit` count: the layers of kinks in execution order."""
        # Files of the first versions do not say how units are arranged.
        return tuple(Layer(layer["path"], layer["operation"], tuple(layer.get("shape", [layer["n_units"]])))
                     for layer in self.model["layers"])

    @property
    def made(self) -> Made:
        """What it was made of and by, with its certificate."""
        return Made(self.model, self.versions, self.kept_certificate)

    def certificate(self, full: bool = False) -> Certificate:
        """The certificate as it came out when the partition was saved.

        Raises
        ------
        ValueError
            If all cells are to be checked, for which the network is needed.
        """
        if full and not self.kept_certificate.is_full:
            raise ValueError("full: expected False for a partition from a file, which does not hold the network")
        return self.kept_certificate

    @property
    def head(self) -> str:
        """A monotone last operation of the model that was set aside ("softmax"), or ""."""
        return str(self.model["head"])

    def __getattr__(self, name: str) -> Any:
        """Say why what asks the network is not there."""
        if name in NEEDS_NETWORK:
            raise AttributeError(f"{name}: it needs the network, which a file does not hold; compute the partition anew")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __repr__(self) -> str:
        return (f"SavedPartition({self.n_cells:,} cells, {len(self.vertices):,} vertices, {len(self.edges):,} edges; "
                f"{len(self.model['layers'])} layers of kinks, {self.values.shape[1]} outputs)")


def write(path: str | os.PathLike[str], cells: Cells) -> None:
    """Write a file as `load_partition` reads it; an older one of that name stays whole until the new one is.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    plane, planar, made = cells.plane, cells.planar, cells.made
    about = {
        "format": FORMAT, "format_version": FORMAT_VERSION, "versions": made.versions, "model": made.model,
        "certificate": asdict(made.certificate), "n_close": cells.n_close, "n_zero": cells.n_zero,
    }
    arrays = {
        "origin": plane.origin, "basis": plane.basis, "domain": plane.domain, "vertices": planar.points,
        "values": cells.values, "tolerance": cells.tolerance,
        **{name: getattr(planar, name) for name in (
            "edges", "edge_layer", "edge_unit", "cell_offsets", "cell_vertices", "cell_edges", "cell_hashes")},
    }
    if plane.anchors is not None:
        arrays["anchors"] = plane.anchors
    if cells.asked is not None:
        arrays["asked"] = cells.asked
    with replacing(path) as file:
        _write_arrays(file, {"about": np.array(json.dumps(about)), **arrays})


def _write_arrays(file: BinaryIO, arrays: dict[str, NDArray[Any]]) -> None:
    """As `numpy.savez_compressed`, which has no choice of the effort: coordinates hardly get smaller by more of it."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                write_array: Any = np.lib.format.write_array  # without types
                write_array(member, array, allow_pickle=False)


def load_partition(path: str | os.PathLike[str]) -> SavedPartition:
    """A partition that `Partition.save` wrote.

    Needs neither torch nor the model. Nothing in the file is run.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    SavedPartition

    Raises
    ------
    OSError
        If there is no such file.
    ValueError
        If it is no partition, of a newer format, or damaged.

    Examples
    --------
    >>> import pathlib, tempfile, torch
    >>> from splinecam_widget import Slice, compute_partition, load_partition
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "relu.npz"
    >>> compute_partition(torch.nn.ReLU(), Slice.from_basis([0.0, 0.0], torch.eye(2))).save(path)
    >>> load_partition(path).n_cells
    4
    """
    try:
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as stored:
            if not isinstance(stored, Mapping) or "about" not in stored:
                raise ValueError("it has no description")
            about = json.loads(str(stored["about"]))
            version = about["format_version"]
            if about["format"] != FORMAT:
                raise ValueError(f"its format is {about['format']!r}")
            if version > FORMAT_VERSION:
                raise ValueError(f"it has version {version} of the format, and this package reads up to {FORMAT_VERSION}")
            arrays = {name: stored[name] for name in ARRAYS if name in stored}
        return _assembled(arrays, about)
    except OSError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError,
            RuntimeError, MemoryError, OverflowError) as error:
        given = os.fspath(path) if isinstance(path, os.PathLike) else path
        raise ValueError(f"path: expected a file written by Partition.save, got {given!r}: {error}") from None


def _assembled(arrays: dict[str, NDArray[Any]], about: dict[str, Any]) -> SavedPartition:
    for name, (dtype, n_axes) in ARRAYS.items():
        if name not in arrays and name in ("anchors", "asked"):
            continue
        array = arrays[name]
        if array.dtype != dtype or n_axes not in (-1, array.ndim):
            raise ValueError(f"{name} is {array.dtype} with {array.ndim} axes")
    planar = PlanarComplex(arrays["vertices"], *(arrays[name] for name in (
        "edges", "edge_layer", "edge_unit", "cell_offsets", "cell_vertices", "cell_edges", "cell_hashes")))
    certificate, model, versions = about["certificate"], about["model"], about["versions"]
    if not (isinstance(model, dict) and isinstance(model["layers"], list) and isinstance(model["approximations"], list)
            and isinstance(versions, dict) and all(isinstance(layer, dict) for layer in model["layers"])):
        raise ValueError("what is said of its model is no list of layers")
    problem = _problem(planar, arrays, len(model["layers"]))
    if problem:
        raise ValueError(problem)
    known = {f.name: certificate[f.name] for f in fields(Certificate) if f.name in certificate}
    kinds: dict[str, tuple[type, ...]] = {"int": (int,), "float": (int, float), "str": (str,)}
    for f in fields(Certificate):
        if f.name in known and not isinstance(known[f.name], kinds[str(f.type)]):
            raise ValueError(f"{f.name} of its certificate is {known[f.name]!r}")
    if not all(isinstance(about[name], int) for name in ("n_close", "n_zero")):
        raise ValueError("n_close or n_zero is no number")
    return SavedPartition(
        Slice(arrays["origin"], arrays["basis"], arrays["domain"], arrays.get("anchors")), planar, arrays["values"],
        arrays["tolerance"], about["n_close"], about["n_zero"], arrays.get("asked"),
        kept_certificate=Certificate(**known), model=model, versions=versions,
    )


def _problem(planar: PlanarComplex, arrays: dict[str, NDArray[Any]], n_layers: int) -> str:
    """What is wrong with arrays that compiled loops are to trust, "" if nothing is."""
    n_vertices, n_edges, offsets = planar.n_vertices, len(planar.edges), planar.cell_offsets
    n_entries = len(planar.cell_vertices)
    shapes = {
        "vertices": (n_vertices, 2), "edges": (n_edges, 2), "edge_layer": (n_edges,), "edge_unit": (n_edges,),
        "cell_edges": (n_entries,), "cell_hashes": (len(offsets) - 1,), "domain": (max(3, len(arrays["domain"])), 2),
        "values": (n_vertices, len(arrays["tolerance"])), "basis": (2, *arrays["origin"].shape),
        **({"anchors": (3, 2)} if "anchors" in arrays else {}),
        **({"asked": (max(3, len(arrays["asked"])), 2)} if "asked" in arrays else {}),
    }
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            return f"{name} has shape {arrays[name].shape}, expected {shape}"
    if len(offsets) < 2 or offsets[0] != 0 or offsets[-1] != n_entries or (np.diff(offsets) < 3).any():
        return "cell_offsets do not cut cell_vertices into loops"
    for name, n in (("edges", n_vertices), ("cell_vertices", n_vertices), ("cell_edges", n_edges)):
        ids = arrays[name]
        if ids.min() < 0 or ids.max() >= n:
            return f"{name} has ids outside 0 to {n - 1}"
    for name in ("origin", "basis", "domain", "asked", "anchors", "vertices", "values", "tolerance"):
        if name in arrays and not np.isfinite(arrays[name]).all():
            return f"{name} has NaN or infinity"
    if planar.edge_layer.min() < -1 or planar.edge_layer.max() >= n_layers:
        return f"edge_layer names layers that are not among its {n_layers}"
    flat = arrays["basis"].reshape(2, -1)
    # As orthonormal as vectors of float32 can be, which the first one may have had.
    if np.abs(flat @ flat.T - np.eye(2)).max() > 8 * 2.0**-24 * np.sqrt(flat.shape[1] + 1.0):
        return "basis is not orthonormal"
    if not all(polygon_area(arrays[name]) > 0 for name in ("domain", "asked") if name in arrays):
        return "its domain has no area"
    return ""
