"""The texts of a request: what ``predict`` takes, and how it is cut into batches."""

from __future__ import annotations

import json
from typing import AbstractSet, Any, AsyncIterable, Iterable, Iterator, List, Mapping, NamedTuple

from .errors import InvalidRequestError
from .places import Places

_encode = json.JSONEncoder(ensure_ascii=False).encode


#: How a column of a library drops its missing values.
_DROPPING = {"pandas": "texts.dropna()", "polars": "texts.drop_nulls()", "pyarrow": "texts.drop_null()"}


class Batch(NamedTuple):
    """Inputs of one request, as JSON. ``first`` is the place of the first one in the whole call."""

    first: int
    parts: List[bytes]


def in_order(texts: Any, call: str = "predict") -> Iterator[Any]:
    """Returns what can be iterated in order. TypeError with the remedy for everything else."""
    kind = type(texts).__name__
    if isinstance(texts, (bytes, bytearray)):
        raise TypeError(f"{call}: texts are {kind}; decode them first, such as texts.decode('utf-8')")
    if isinstance(texts, str):
        raise TypeError(f"{call}: texts are one str; give a list of texts")
    if isinstance(texts, Mapping):
        raise TypeError(f"{call}: texts are of the type {kind}; give a list such as list(texts.values()), "
                        "because answers come in its order")
    if isinstance(texts, AbstractSet):  # without an order the answers could not be matched to the texts
        raise TypeError(f"{call}: texts are of the type {kind}; give a list such as sorted(texts), "
                        "because answers come in its order")
    if hasattr(type(texts), "columns"):  # a table of pandas, polars or pyarrow
        frame = ", or call predict_frame(df, text='text'), which adds columns" if call in ("predict", "stream") else ""
        raise TypeError(f"{call}: texts are of the type {kind}; give one column, such as {call}(df['text']){frame}")
    dimensions = getattr(texts, "ndim", 1)
    if isinstance(dimensions, int) and dimensions != 1:
        raise TypeError(f"{call}: texts are an array of {dimensions} dimensions; give one dimension, such as texts[:, 0]")
    if hasattr(texts, "to_pylist"):  # an array of pyarrow, whose elements are no str
        values: List[Any] = texts.to_pylist()
        return iter(values)
    if isinstance(texts, AsyncIterable):
        raise TypeError(f"{call}: texts are of the type {kind}, which is iterated by async for; "
                        "use stream() of AsyncMaaSClient's models, or collect the texts first")
    try:
        found: Iterator[Any] = iter(texts)
        return found
    except TypeError:
        raise TypeError(f"{call}: texts are {kind}; give a str, or a list of str") from None


class Encoder:
    """Checks the texts of a call and writes them as JSON. ``most`` is the limit of one text in bytes of UTF-8. ``texts`` are
    what the caller gave, whose kind decides how it can drop missing values."""

    def __init__(self, places: Places, most: int, texts: Any) -> None:
        self._places, self._most = places, most
        self._library = type(texts).__module__.partition(".")[0]

    def all(self, texts: Iterable[Any]) -> Iterator[bytes]:
        """Yields each text as JSON, with the errors of :meth:`one`."""
        for index, text in enumerate(texts):
            yield self.one(text, index)

    def one(self, text: Any, index: int) -> bytes:
        """The text at ``index`` as JSON. TypeError when it is not a ``str``, ValueError when it is not Unicode text,
        InvalidRequestError when it is longer than the model takes."""
        if not isinstance(text, str):
            raise TypeError(f"{self._named(index)} is {type(text).__name__}; {self._remedy(text)}")
        try:
            part = _encode(text).encode("utf-8")
            if len(part) - 2 > self._most:  # JSON has two quotes, and is longer where it escapes
                self._check_length(len(text.encode("utf-8")), index)
            return part
        except UnicodeEncodeError as error:
            start = text.index(error.object[error.start])  # the place in the text, not in its JSON
            raise ValueError(f"{self._named(index)} holds a lone surrogate at index {start}; remove it") from None

    def _check_length(self, length: int, index: int) -> None:
        if length > self._most:
            raise InvalidRequestError(f"{self._named(index)}: {length} bytes exceed the limit of {self._most} of one text; "
                                      "shorten or split it", index=self._places.index(index))

    def _remedy(self, text: Any) -> str:
        if isinstance(text, (bytes, bytearray)):
            return "decode it, such as text.decode('utf-8')"
        if text is None or isinstance(text, float) or type(text).__name__ in ("NAType", "NaTType"):
            drop = _DROPPING.get(self._library, "[text for text in texts if isinstance(text, str)]")
            keep = ", or call predict_frame(), which keeps it" if self._library in ("pandas", "polars") else ""
            return f"a missing value has no text: drop it, such as {drop}{keep}"
        return "give str"

    def _named(self, index: int) -> str:
        return f"{self._places.call}: {self._places.name(index)}"


def batches(parts: Iterable[bytes], size: int, most: int, first: int = 0) -> Iterator[Batch]:
    """Cuts inputs into batches of at most ``size`` inputs and ``most`` bytes. A longer input is a batch of its own. An error
    of the iterator comes after the batch of the inputs before it. ``first`` is the place of the first one."""
    batch: List[bytes] = []
    used = 0
    try:
        for part in parts:
            cost = len(part) + 1
            if batch and (len(batch) == size or used + cost > most):
                yield Batch(first, batch)
                first += len(batch)
                batch, used = [], 0
            batch.append(part)
            used += cost
    except Exception:
        if batch:
            yield Batch(first, batch)
        raise
    if batch:
        yield Batch(first, batch)


def body(batch: List[bytes], explain: bool) -> bytes:
    """The JSON of a request for predictions."""
    return b'{"texts":[' + b",".join(batch) + (b'],"explain":true}' if explain else b"]}")
