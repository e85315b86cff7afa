"""The common part of the models of both clients: what is sent, and how answers are read and joined."""

from __future__ import annotations

import urllib.parse
import uuid
from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Union

from .embeddings import embed_body, vectors_of
from .emotion import Emotion, emotion_of
from .errors import MaaSError
from .frames import Column
from .partial import PartialResult, partial_result
from .places import Places
from .tasks import (
    CLASSIFICATION, EMBEDDING, TAGGING, TRANSLATION, classes_of, entities_of, image_parts, images_body, require_task,
    task_of, texts_body, translations_of,
)  # fmt: skip
from .texts import Batch, Encoder, batches, body, in_order
from .wording import how_many

# Defaults if a service does not state them.
_LIMITS = {"texts": 1024, "explained_texts": 64, "images": 64, "text_bytes": 1 << 18, "body_bytes": 1 << 20}
_ENVELOPE = 256  # bytes of a request body besides its texts


def new_request_id() -> str:
    """An id by which the service remembers an answer."""
    return uuid.uuid4().hex


def model_path(name: str, version: Union[str, int, None]) -> str:
    """The path of a model, or of one of its versions."""
    if not isinstance(name, str) or not name:
        raise ValueError(f"get_model: name {name!r}; give a model's name such as 'emotion_analysis'")
    path = "/v1/models/" + urllib.parse.quote(name, safe="")
    if version is None:
        return path
    if isinstance(version, bool) or not isinstance(version, (str, int)) or not str(version):
        raise ValueError(f"get_model: version {version!r}; give a version such as '1', or None for the one that is served")
    return f"{path}/versions/{urllib.parse.quote(str(version), safe='')}"


class Call:
    """A call of a route in batches: where, what errors name, how a batch is written, and how its answer is read from the
    JSON, the number of inputs and the id of the request."""

    def __init__(
        self, path: str, places: Places, body_of: Callable[[List[bytes]], bytes], read: Callable[[Any, int, str], List[Any]]
    ) -> None:
        self.path, self.places, self.body_of, self.read = path, places, body_of, read


class BaseModel:
    """The common part of both clients' models. ``name`` is the requested name, which may be an alias."""

    def __init__(self, info: Mapping[str, Any], name: Optional[str] = None, pinned: Union[str, int, None] = None) -> None:
        self.name: str = name or info["name"]
        self.version: str = str(info.get("version", ""))  #: when the model was asked for; each Emotion has its own
        self.pinned: bool = pinned is not None  #: whether all answers come from this version
        self.versions: List[str] = [str(version) for version in info.get("versions", [])]
        self.labels: List[str] = list(info.get("labels", []))
        self.task: str = task_of(info)  #: such as "translation"; see the methods
        #: what a classifier predicts: "single-label", "multi-label", "ordinal" or "regression"; "" for another task
        self.problem: str = str(info.get("problem", "single-label")) if self.task == CLASSIFICATION else ""
        self.embedding_size: int = int(info.get("embedding_size", 0))  #: numbers of a vector; 0 for a model of another task
        limits = info.get("limits", {})
        self._limits: Dict[str, int] = {key: int(limits.get(key, value)) for key, value in _LIMITS.items()}
        self._root = model_path(self.name, pinned)
        self._path = self._root + "/predict"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, version={self.version!r}{', pinned=True' if self.pinned else ''})"

    def _batches(self, parts: Iterable[bytes], explain: bool = False, limit: str = "texts", first: int = 0) -> Iterator[Batch]:
        """Cuts texts, or what ``limit`` names, into batches within the limits of the client and the model."""
        size: int = self._client.batch_size  # type: ignore[attr-defined]
        size = max(1, min(size, self._limits["explained_texts" if explain else limit]))
        return batches(parts, size, self._limits["body_bytes"] - _ENVELOPE, first)

    def _encoder(self, places: Places, texts: Any) -> Encoder:
        return Encoder(places, self._limits["text_bytes"], texts)

    def _text_batches(self, texts: Any, places: Places, explain: bool = False) -> List[Batch]:
        return list(self._batches(self._encoder(places, texts).all(in_order(texts, places.call)), explain))

    def _emotion_call(self, places: Places, explain: bool) -> Call:
        require_task(self.name, self.task, [CLASSIFICATION], places.call)
        return Call(self._path, places, lambda batch: body(batch, explain), self._emotions)

    def _translate_call(self, options: bytes) -> Call:
        require_task(self.name, self.task, [TRANSLATION], "translate")
        return Call(self._root + "/translate", Places("translate"), lambda batch: texts_body(batch, options),
                    lambda answer, count, _: translations_of(answer, count, self.name))

    def _tag_call(self) -> Call:
        require_task(self.name, self.task, [TAGGING], "tag")
        return Call(self._root + "/tag", Places("tag"), lambda batch: texts_body(batch, b""),
                    lambda answer, count, _: entities_of(answer, count, self.name))

    def _embed_call(self, numpy: Optional[Any]) -> Call:
        require_task(self.name, self.task, [EMBEDDING], "embed")
        return Call(self._root + "/embeddings" if self.pinned else "/v1/embeddings", Places("embed"), lambda batch: embed_body(batch, self.name),
                    lambda answer, count, _: vectors_of(answer, count, self.name, self.embedding_size, numpy))

    def _image_call(self) -> Call:
        return Call(self._path, Places("predict", "images"), images_body,
                    lambda answer, count, _: classes_of(answer, count, self.name))

    def _image_batches(self, images: Iterable[Any]) -> List[Batch]:
        return list(self._batches(image_parts(images), limit="images"))

    def _emotions(self, answer: Any, count: int, request_id: str) -> List[Emotion]:
        try:
            emotions = [emotion_of(item, self.problem) for item in answer["predictions"]]
            version = str(answer.get("version", self.version))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise MaaSError(f"{self.name}: the answer is not a list of predictions ({error!r}); "
                            "check that the endpoint is a qing service") from error
        if len(emotions) != count:
            raise MaaSError(f"{self.name}: {how_many(len(emotions), 'prediction')} for {how_many(count, 'text')}")
        for index, emotion in enumerate(emotions):
            emotion.request_id, emotion.request_index, emotion.version = request_id, index, version
        return emotions

    @staticmethod
    def _joined(sent: Sequence[Batch], answers: Sequence[Union[List[Any], BaseException, None]], noun: str) -> List[Any]:
        """The answers of all batches in order. The first error is raised, with what arrived if anything did."""
        error = next((answer for answer in answers if isinstance(answer, BaseException)), None)
        if error is None:
            return [emotion for answer in answers for emotion in answer or ()]  # type: ignore[union-attr]
        results: List[Optional[Any]] = []
        for batch, answer in zip(sent, answers):
            results.extend(answer if isinstance(answer, list) else [None] * len(batch.parts))
        if not isinstance(error, MaaSError) or all(emotion is None for emotion in results):
            raise error
        raise partial_result(results, error, noun) from error


def rows_of(column: Column, rows: int, partial: PartialResult) -> PartialResult:
    """The same with a place for each row of the table."""
    results: List[Optional[Emotion]] = [None] * rows
    for row, emotion in zip(column.positions, partial.results):
        results[row] = emotion
    return partial_result(results, partial.error, "rows")


