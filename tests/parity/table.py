"""The parity table: every row of rows_*.py in this folder, by family. row.py describes a row."""

import importlib
from pathlib import Path

FAMILIES = sorted(path.stem.removeprefix("rows_") for path in Path(__file__).parent.glob("rows_*.py"))


def rows_of(family):
    return importlib.import_module(f"rows_{family}").ROWS


def headers_of(family):
    """The headers that its rows need beside those of all families."""
    return getattr(importlib.import_module(f"rows_{family}"), "HEADERS", [])


def title_of(family):
    return importlib.import_module(f"rows_{family}").TITLE


ROWS = {row.name: row for family in FAMILIES for row in rows_of(family)}
assert len(ROWS) == sum(len(rows_of(family)) for family in FAMILIES), "two rows have one name"
