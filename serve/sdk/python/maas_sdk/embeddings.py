"""Sentence embeddings: how vectors are asked for and read."""

from __future__ import annotations

import base64
import importlib
import json
import struct
from typing import Any, List, Optional

from .errors import MaaSError


def embed_body(batch: List[bytes], model: str) -> bytes:
    """The JSON of a request for embeddings. Base64 keeps every bit, and is a third of the numbers' text."""
    return b'{"model":' + json.dumps(model).encode("ascii") + b',"encoding_format":"base64","input":[' + b",".join(batch) + b"]}"


def numpy_module(wanted: bool) -> Optional[Any]:
    """NumPy, or None if it is not wanted. ImportError with the remedy if it is not installed."""
    if not wanted:
        return None
    try:
        return importlib.import_module("numpy")  # not with the package, which needs only the standard library
    except ImportError as error:
        raise ImportError("embed: as_numpy needs NumPy; install it, or leave as_numpy out for lists") from error


def vectors_of(answer: Any, count: int, model: str, size: int, numpy: Optional[Any]) -> List[Any]:
    """The vectors of an answer: lists of ``size`` floats, or arrays of float32 if NumPy is given. MaaSError for another
    answer."""
    try:
        contents = [base64.b64decode(item["embedding"], validate=True) for item in answer["data"]]
        if len(contents) != count or any(len(content) != 4 * size for content in contents):
            raise ValueError(f"{len(contents)} vectors of {sorted({len(c) // 4 for c in contents})} numbers, not {count} of {size}")
    except (KeyError, TypeError, ValueError) as error:
        raise MaaSError(f"{model}: the answer is not a list of embeddings ({error!r}); "
                        "check that the endpoint is a qing service, and call get_model() again if the model has changed") from error
    if numpy is not None:
        return [numpy.frombuffer(content, dtype="<f4").astype(numpy.float32) for content in contents]
    return [list(struct.unpack(f"<{size}f", content)) for content in contents]


def stacked(vectors: List[Any], size: int, numpy: Optional[Any]) -> Any:
    """The vectors of all texts as they are returned: a list, or an array [texts, size]."""
    return vectors if numpy is None else numpy.stack(vectors) if vectors else numpy.empty((0, size), dtype=numpy.float32)
