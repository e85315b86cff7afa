"""A line on stderr that tells how far a long call is."""

from __future__ import annotations

import sys
import time
from typing import Any, Optional

from .wording import how_many

_WIDTH = 30
_BETWEEN = 0.1  # seconds between two drawings


class Progress:
    """Counts texts. It draws nothing unless ``shown``. Use it in ``with``: its end draws the last state."""

    def __init__(self, shown: bool, total: Optional[int]) -> None:
        self._shown = shown
        self._total = total
        self._done = 0
        self._begin = time.monotonic()
        self._drawn = 0.0
        self._columns = 0

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *exception: Any) -> None:
        if self._shown:
            self._draw()
            print(file=sys.stderr)

    def add(self, texts: int) -> None:
        self._done += texts
        if self._shown and time.monotonic() - self._drawn >= _BETWEEN:
            self._draw()

    def line(self) -> str:
        """What is drawn."""
        passed = max(time.monotonic() - self._begin, 1e-9)
        rate = self._done / passed
        if not self._total:
            return f"{how_many(self._done, 'text')}, {rate:,.0f}/s"
        share = min(self._done / self._total, 1.0)
        full = int(share * _WIDTH)
        left = (self._total - self._done) / rate if rate > 0 else 0.0
        return f"[{'#' * full}{'.' * (_WIDTH - full)}] {self._done:,}/{how_many(self._total, 'text')}, {rate:,.0f}/s, {left:.0f} s left"

    def _draw(self) -> None:
        line = self.line()
        print("\r" + line.ljust(self._columns), end="", file=sys.stderr, flush=True)
        self._columns, self._drawn = len(line), time.monotonic()


def count_of(texts: Any) -> Optional[int]:
    """How many texts there are; None for an iterator, which does not know it."""
    try:
        return len(texts)
    except TypeError:
        return None
