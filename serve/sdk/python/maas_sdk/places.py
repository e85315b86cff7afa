"""Where the input of an error stands: in the caller's list or table, and not in the batch that was refused."""

from __future__ import annotations

import contextlib
import re
from typing import Iterator, Optional, Sequence

from .errors import MaaSError

#: How the service's routes begin a refusal of one of their inputs.
_REFUSED = re.compile(r"(?:texts|images|input)\[(\d+)\]")


class Places:
    """How the errors of a call name its inputs. For a table ``rows`` are the rows of the texts, and ``column`` is its name."""

    def __init__(self, call: str, noun: str = "texts", column: object = None, rows: Optional[Sequence[int]] = None) -> None:
        self.call, self.noun = call, noun
        self._column, self._rows = column, rows

    def index(self, place: int) -> int:
        """The index in the caller's list, or the row of the table."""
        return place if self._rows is None else self._rows[place]

    def name(self, place: int) -> str:
        """What a message calls the input."""
        return f"{self.noun}[{place}]" if self._rows is None else f"{self._column!r} in row {self.index(place)}"

    @contextlib.contextmanager
    def of_batch(self, first: int, count: int) -> Iterator[None]:
        """Lets an error of the service about one of the ``count`` inputs from ``first`` on name its place in the call."""
        try:
            yield
        except MaaSError as error:
            told = str(error)
            found = _REFUSED.match(told)
            if found is not None:
                place, rest = first + int(found[1]), told[found.end():]
            elif count == 1 and error.status == 413:  # the body is too large, and so is its only input
                place, rest = first, ": " + told
            else:
                raise
            error.index = self.index(place)
            error.args = (self.name(place) + rest,)
            raise
