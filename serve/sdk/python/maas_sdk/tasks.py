"""What models of other tasks than classification are asked and answer: translations, entities and the classes of pictures."""

from __future__ import annotations

import base64
import io
import json
import os
import struct
import zlib
from typing import Any, Dict, Iterable, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from .errors import InvalidRequestError, MaaSError

CLASSIFICATION, TRANSLATION, TAGGING, IMAGE, EMBEDDING = "classification", "translation", "tagging", "image", "embedding"
#: The method for each task.
CALLS = {CLASSIFICATION: "predict(texts)", TRANSLATION: "translate(texts)", TAGGING: "tag(texts)", IMAGE: "predict(images)",
         EMBEDDING: "embed(texts)"}


class WrongTaskError(InvalidRequestError):
    """The model is of another task than the method. The message names the method to call."""


class Alignment(NamedTuple):
    """How much the tokens of a translation looked at those of a piece of its source: ``weights[i][j]`` for the tokens that
    are ``translation[begin:end]`` of ``target[i]`` and ``text[begin:end]`` of ``source[j]``. They are the attention of the
    decoder's last layer to the source, the mean over its heads. A row sums to at most 1: special tokens have the rest."""

    source: List[Tuple[int, int]]
    target: List[Tuple[int, int]]
    weights: List[List[float]]


class Translation(str):
    """A translation: a ``str`` with its ``score`` and the number of its ``tokens``. The model translates a text in pieces,
    such as its lines. The score of a piece is the sum of its tokens' log-probabilities, divided by their number to the power
    ``length_penalty``; ``score`` is the mean over the pieces. ``complete`` is false where ``max_tokens`` cut a piece.
    ``alignment`` has an :class:`Alignment` for each piece if it was asked for, and is empty otherwise. ``version`` is the
    version of the model that answered."""

    score: float
    tokens: int
    version: str
    complete: bool
    alignment: List[Alignment]

    def __new__(
        cls, text: str, score: float = 0.0, tokens: int = 0, version: str = "", complete: bool = True,
        alignment: Iterable[Alignment] = (),
    ) -> "Translation":  # fmt: skip
        made = super().__new__(cls, text)
        made.score, made.tokens, made.version, made.complete = float(score), int(tokens), version, bool(complete)
        made.alignment = list(alignment)
        return made

    def __getnewargs__(self) -> Tuple[Any, ...]:  # for pickle and copy
        return str(self), self.score, self.tokens, self.version, self.complete, self.alignment


class Entity(NamedTuple):
    """A named entity: text[begin:end], its type such as "PER", and the mean probability of its words' labels."""

    type: str
    begin: int
    end: int
    text: str
    score: float


class ImageClass(str):
    """The class of a picture: a ``str`` equal to its label, with its ``score`` and the ``scores`` of all labels."""

    score: float
    scores: Dict[str, float]
    version: str

    def __new__(
        cls, label: str, score: float = 1.0, scores: Optional[Mapping[str, float]] = None, version: str = ""
    ) -> "ImageClass":
        made = super().__new__(cls, label)
        made.score, made.version = float(score), version
        made.scores = {name: float(value) for name, value in (scores or {label: score}).items()}
        return made

    def __getnewargs__(self) -> Tuple[Any, ...]:
        return str(self), self.score, self.scores, self.version


def task_of(info: Mapping[str, Any]) -> str:
    """The task of a model by its description. Older services describe a model of embeddings as a classifier without labels."""
    task = str(info.get("task", CLASSIFICATION))
    return EMBEDDING if task == CLASSIFICATION and info.get("embedding_size") and not info.get("labels") else task


def require_task(name: str, task: str, wanted: Sequence[str], call: str) -> None:
    """WrongTaskError unless the model's task is one of those."""
    if task not in wanted:
        remedy = f"call {CALLS[task]}" if task in CALLS else "use a newer version of this package"
        raise WrongTaskError(f"{call}: {name} is a model of the task {task}; {remedy}")


def translation_options(
    beam_size: Optional[int], length_penalty: Optional[float], max_tokens: Optional[int], source: Optional[str],
    target: Optional[str], alignment: bool,
) -> bytes:  # fmt: skip
    """The members of a request beside its texts, as JSON with a comma in front. ValueError for a number out of range."""
    for name, value, least in (("beam_size", beam_size, 1), ("max_tokens", max_tokens, 1)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
            raise ValueError(f"translate: {name} is {value!r}; it must be a whole number of at least {least}")
    options = {"beam_size": beam_size, "length_penalty": length_penalty, "max_tokens": max_tokens, "source": source,
               "target": target, "alignment": alignment or None}  # fmt: skip
    return options_json(options)


def options_json(options: Mapping[str, Any]) -> bytes:
    """The options that are given, as the rest of a JSON object: b',"beam_size":4'."""
    given = {name: value for name, value in options.items() if value is not None}
    return b"" if not given else b"," + json.dumps(given, ensure_ascii=False).encode("utf-8")[1:-1]


def texts_body(batch: List[bytes], options: bytes) -> bytes:
    return b'{"texts":[' + b",".join(batch) + b"]" + options + b"}"


def images_body(batch: List[bytes]) -> bytes:
    return b'{"images":[' + b",".join(batch) + b"]}"


def _answers(answer: Any, member: str, count: int, model: str) -> Iterator[Any]:
    try:
        items = answer[member]
        if len(items) != count:
            raise MaaSError(f"{model}: {len(items)} {member} for {count} inputs")
        yield from items
    except (KeyError, TypeError) as error:
        raise MaaSError(f"{model}: the answer has no list of {member} ({error!r}); "
                        "check that the endpoint is a qing service") from error


def _read(model: str, answer: Any, member: str, count: int, make: Any) -> List[Any]:
    version = str(answer.get("version", "")) if isinstance(answer, Mapping) else ""
    try:
        return [make(item, version) for item in _answers(answer, member, count, model)]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise MaaSError(f"{model}: an element of {member} is malformed ({error!r}); "
                        "check that the endpoint is a qing service") from error


def translations_of(answer: Any, count: int, model: str) -> List[Translation]:
    def made(item: Any, version: str) -> Translation:
        pieces = [Alignment([(int(a), int(b)) for a, b in piece["source"]], [(int(a), int(b)) for a, b in piece["target"]],
                             [[float(weight) for weight in row] for row in piece["weights"]])
                  for piece in item.get("alignment", [])]  # fmt: skip
        return Translation(item["text"], item.get("score", 0.0), item.get("tokens", 0), version, item.get("complete", True), pieces)

    return _read(model, answer, "translations", count, made)


def entities_of(answer: Any, count: int, model: str) -> List[List[Entity]]:
    def made(item: Any, _: str) -> List[Entity]:
        return [Entity(e["type"], int(e["begin"]), int(e["end"]), e["text"], float(e["score"])) for e in item["entities"]]

    return _read(model, answer, "results", count, made)


def classes_of(answer: Any, count: int, model: str) -> List[ImageClass]:
    return _read(model, answer, "predictions", count,
                 lambda item, version: ImageClass(item["label"], item["score"], item.get("scores"), version))


def is_one_image(images: Any) -> bool:
    """Whether this is one picture and not several: bytes, a path, an open file, a picture of PIL, an array of 2 or 3
    dimensions."""
    if isinstance(images, (bytes, bytearray, memoryview, str, os.PathLike)):
        return True
    if hasattr(images, "save") or hasattr(images, "read"):
        return True
    dimensions = getattr(images, "ndim", None)
    return dimensions in (2, 3)


def image_parts(images: Iterable[Any]) -> List[bytes]:
    """Each picture as base64 in JSON. TypeError, ValueError and OSError name its place."""
    if isinstance(images, Mapping) or isinstance(images, (set, frozenset)):
        raise TypeError(f"predict: images are of the type {type(images).__name__}; give a list, because answers come in its order")
    return [b'"' + base64.b64encode(_image_bytes(image, index)) + b'"' for index, image in enumerate(images)]


def _image_bytes(image: Any, index: int) -> bytes:
    content = _read_image(image, index)
    if not content:
        raise ValueError(f"predict: images[{index}] has no bytes; if it is a file that was read before, open it again")
    return content


def _read_image(image: Any, index: int) -> bytes:
    if isinstance(image, (bytes, bytearray, memoryview)):
        return bytes(image)
    if isinstance(image, (str, os.PathLike)):
        try:
            with open(image, "rb") as file:
                return file.read()
        except OSError as error:  # of the same kind, such as FileNotFoundError
            raise OSError(error.errno, f"predict: images[{index}]: {error.strerror}", error.filename) from error
    if hasattr(image, "save") and hasattr(image, "mode"):  # a picture of PIL
        buffer = io.BytesIO()
        try:
            image.save(buffer, format="PNG")
        except (OSError, ValueError) as error:  # a mode that PNG does not have, or a file that PIL cannot read on
            raise ValueError(f"predict: images[{index}] cannot be written as PNG ({error}); convert it to RGB") from error
        return buffer.getvalue()
    if hasattr(image, "read"):
        content = image.read()
        if isinstance(content, str):
            raise TypeError(f"predict: images[{index}] is a file opened as text; open it with 'rb'")
        return bytes(content)
    if hasattr(image, "__array_interface__") or hasattr(image, "__array__"):
        return _png_of_array(image, index)
    raise TypeError(f"predict: images[{index}] is {type(image).__name__}; give bytes of a PNG or JPEG, a path, a file "
                    "opened with 'rb', an array of uint8 or a picture of PIL")


def _png_of_array(image: Any, index: int) -> bytes:
    """An array of uint8 [height, width] or [height, width, 1, 3 or 4] as PNG."""
    shape, kind = tuple(image.shape), str(image.dtype)
    channels = 1 if len(shape) == 2 else shape[2] if len(shape) == 3 else 0
    if kind != "uint8" or channels not in (1, 3, 4) or 0 in shape:
        raise ValueError(f"predict: images[{index}] is an array of {kind} {list(shape)}; give uint8 [height, width] or "
                         "[height, width, channels] with 1, 3 or 4 channels, 0 is black")
    height, width = shape[0], shape[1]
    data, stride = image.tobytes(), width * channels
    rows = b"".join(b"\0" + data[row * stride : (row + 1) * stride] for row in range(height))

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    color = {1: 0, 3: 2, 4: 6}[channels]  # PNG's grey, RGB, RGBA
    header = struct.pack(">IIBBBBB", width, height, 8, color, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 6)) + chunk(b"IEND", b"")
