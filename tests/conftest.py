"""Fixtures that several modules of tests share."""

from widget_wire import make, w  # noqa: F401
