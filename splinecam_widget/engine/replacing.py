"""Files that are whole or not there. Knows nothing of what is in them."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A file to write, beside the one of this name; it takes its place when all is written, and is gone if that fails.

    Raises
    ------
    OSError
        If it cannot be written; it names `path`.
    """
    target = Path(path)
    beside = target.with_name(f".{uuid.uuid4().hex}.part")
    try:
        with beside.open("xb") as file:
            yield file
        beside.replace(target)
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, os.fspath(path)) from None  # of the kind that the number stands for
    finally:
        with suppress(OSError):  # what kept it from being written may keep it from being removed
            beside.unlink()
