"""Predictions of which only a part arrived."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple, Type

from .errors import MaaSError


class PartialResult(MaaSError):
    """Some texts or pictures were answered, and the rest failed. It is also an error of the kind that stopped the call, such
    as :class:`MaaSConnectionError`, so it is caught as that, too.

    ``results`` has a place for each text: its answer, or None. ``missing`` are the places without one, and ``error`` is the
    first failure. ``predict([texts[i] for i in partial.missing])`` asks for the rest.
    """

    results: List[Optional[Any]]
    error: MaaSError
    _noun: str

    @property
    def missing(self) -> List[int]:
        return [place for place, emotion in enumerate(self.results) if emotion is None]

    def __reduce__(self) -> Tuple[Any, ...]:  # the classes made below have no name by which pickle could find them
        return partial_result, (self.results, self.error, self._noun)


_KINDS: Dict[Type[MaaSError], Type[PartialResult]] = {}


def partial_result(results: List[Optional[Any]], error: MaaSError, noun: str) -> PartialResult:
    """The exception that carries what arrived. ``noun`` is what the message calls the inputs."""
    kind = type(error)
    if kind not in _KINDS:
        _KINDS[kind] = PartialResult if kind is MaaSError else type("PartialResult", (PartialResult, kind), {})
    arrived = sum(emotion is not None for emotion in results)
    partial = _KINDS[kind](
        f"{arrived} of {len(results)} {noun} were answered (results has them, missing names the rest): {error}",
        status=error.status, code=error.code, retry_after=error.retry_after, index=error.index,
    )  # fmt: skip
    partial.results, partial.error, partial._noun = results, error, noun
    return partial
