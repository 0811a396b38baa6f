"""What groups of methods of `Cells` have in common that are kept in modules of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from .cells import Cells


class Facade:
    """Some methods of `Cells`. What they do is in modules that are imported when they are called."""

    @property
    def _cells(self) -> Cells:
        return cast("Cells", self)
