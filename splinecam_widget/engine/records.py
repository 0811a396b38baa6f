"""Where a partition comes from, as one record that every file of it carries. Knows no torch and no format but JSON's."""

from __future__ import annotations

import base64
import copy
import hashlib
from dataclasses import asdict
from importlib import metadata
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .certificate import Certificate

if TYPE_CHECKING:
    from .cells import Cells
    from .network import Network

PACKAGES = ("splinecam_widget", "torch", "numpy", "numba")
"""Of which a record has the versions: what computes a partition."""

MAX_TEXT_BYTES = 1 << 16
"""Of an array that is written out in a record, float64: a basis of images of 3 x 32 x 32 is, one of 3 x 224 x 224 (2.4 MB) is
not, and then has only its digest. The file of `Partition.save` has all arrays in full."""


class Made(NamedTuple):
    """What a partition was made of and by, and how it was checked.

    Attributes
    ----------
    model : dict
        Digest, input_shape, n_outputs, head, layers (path, operation, n_units and shape of each layer of kinks) and
        approximations (operation and deviation of each).
    versions : dict
        Of `PACKAGES`.
    certificate : Certificate
    """

    model: dict[str, Any]
    versions: dict[str, str]
    certificate: Certificate

    def __repr__(self) -> str:
        digest, n_layers = self.model.get("digest", "?")[:8], len(self.model["layers"])
        sound = "sound" if self.certificate.is_sound else "not sound"
        return f"Made(network {digest}, {n_layers} layers of kinks; certificate {sound})"


def model_record(network: Network) -> dict[str, Any]:
    """What is said of a network where it cannot be stored itself."""
    return {
        "digest": network.digest, "input_shape": list(network.input_shape), "n_outputs": network.n_outputs,
        "head": network.head,
        "layers": [{"path": layer.path, "operation": layer.operation, "n_units": layer.n_units, "shape": list(layer.shape)}
                   for layer in network.layer_records],
        "approximations": [{"operation": step.part_of, "deviation": step.deviation} for step in network.approximations],
    }


def package_versions() -> dict[str, str]:
    """Of the packages that compute partitions."""
    return {name: metadata.version(name) for name in PACKAGES}


def record_of(cells: Cells) -> dict[str, Any]:
    """See `Cells.record`."""
    plane, made = cells.plane, cells.made
    return copy.deepcopy({
        "slice": {
            "input_shape": list(plane.input_shape),
            "origin": array_record(plane.origin),
            "basis": array_record(plane.basis),
            "anchors": None if plane.anchors is None else plane.anchors.tolist(),
        },
        "domain": plane.domain.tolist(),
        "asked": None if cells.asked is None else cells.asked.tolist(),
        "share": cells.share,
        "n_cells": cells.n_cells,
        "is_exact": not made.model["approximations"],
        "model": made.model,
        "versions": made.versions,
        "certificate": {"is_sound": made.certificate.is_sound, **asdict(made.certificate)},
    })


def array_record(array: NDArray[np.float64]) -> dict[str, Any]:
    """An array as JSON: shape, dtype, SHA-256 of its bytes, and the bytes themselves in base64 where they are few.

    Parameters
    ----------
    array : float64 array

    Returns
    -------
    dict
        `shape`, `dtype` ("<f8": little-endian float64, in C order), `sha256`, and `base64`, None above `MAX_TEXT_BYTES`.

    Examples
    --------
    >>> import numpy as np
    >>> found = array_record(np.eye(2))
    >>> array_of(found).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    content = np.ascontiguousarray(array, dtype="<f8").tobytes()
    text = base64.b64encode(content).decode("ascii") if len(content) <= MAX_TEXT_BYTES else None
    return {"shape": list(array.shape), "dtype": "<f8", "sha256": hashlib.sha256(content).hexdigest(), "base64": text}


def array_of(record: dict[str, Any]) -> NDArray[np.float64]:
    """The array that `array_record` wrote.

    Raises
    ------
    ValueError
        If it is not written out, or its bytes are not those of its digest.
    """
    if record["base64"] is None:
        raise ValueError(f"record: expected an array that is written out, got only the digest of shape {record['shape']}")
    content = base64.b64decode(record["base64"])
    if hashlib.sha256(content).hexdigest() != record["sha256"]:
        raise ValueError("record: expected bytes that have the digest beside them, got others")
    return np.frombuffer(content, "<f8").reshape(record["shape"]).astype(np.float64)
