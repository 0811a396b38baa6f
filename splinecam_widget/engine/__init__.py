"""The exact engine: torch model and slice in, partition out. Knows nothing of notebooks, widgets or plots."""
