"""A model of the service and its predictions."""

from __future__ import annotations

import asyncio
import functools
import json
import urllib.parse
import uuid
from typing import (
    TYPE_CHECKING,
    AbstractSet,
    Any,
    Dict,
    Iterable,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Tuple,
    Union,
    overload,
)

from .errors import MaaSError

if TYPE_CHECKING:
    from .client import MaaSClient


_LIMITS = {"texts": 1024, "explained_texts": 64, "body_bytes": 1 << 20}  # defaults if a service does not state them
_ENVELOPE = 256  # bytes of a request body besides its texts


class Span(NamedTuple):
    """A part of a text, text[begin:end], and its weight. A weight above 0 supports the label."""

    begin: int
    end: int
    text: str
    weight: float


class Explanation(NamedTuple):
    """Why a text got its label. The weights of the spans sum to score - baseline, up to ``gap``.

    The encoder read ``text[:encoder_end]``. The n-gram head, if the model has one, used ``text[:ngram_end]``. The weights of
    spans after ``encoder_end`` come from their n-grams alone. Both ends are None if the service does not state them.
    """

    label: str
    score: float
    baseline: float
    gap: float
    spans: List[Span]
    encoder_end: Optional[int] = None
    ngram_end: Optional[int] = None


class Emotion(str):
    """A prediction: a ``str`` equal to its label, with its scores, and with an ``explanation`` if requested.

    ``request_id`` and ``request_index`` say which text of which request it answers, for feedback.
    ``truncated`` means that the text is longer than the encoder reads. ``blank`` means that the text gives no token, so the
    scores are those of an empty text.
    """

    score: float
    scores: Dict[str, float]
    truncated: bool
    explanation: Optional[Explanation]
    blank: bool
    request_id: str
    request_index: int

    def __new__(
        cls,
        label: str,
        score: float = 1.0,
        scores: Optional[Mapping[str, float]] = None,
        truncated: bool = False,
        explanation: Optional[Explanation] = None,
        blank: bool = False,
        request_id: str = "",
        request_index: int = 0,
    ) -> "Emotion":
        emotion = super().__new__(cls, label)
        emotion.explanation = explanation
        emotion.score = float(score)
        emotion.scores = {name: float(value) for name, value in (scores or {label: score}).items()}
        emotion.truncated = bool(truncated)
        emotion.blank = bool(blank)
        emotion.request_id = request_id
        emotion.request_index = request_index
        return emotion

    def __getnewargs__(self) -> Tuple[Any, ...]:  # for pickle and copy
        return (str(self), self.score, self.scores, self.truncated, self.explanation, self.blank, self.request_id, self.request_index)

    @property
    def label(self) -> str:
        """The most likely label, as a plain ``str``."""
        return str.__str__(self)


def emotion_of(item: Mapping[str, Any]) -> Emotion:
    """Parses a prediction of the service. KeyError, TypeError, ValueError or AttributeError if it is malformed."""
    explanation = None
    if item.get("explanation") is not None:
        told = item["explanation"]
        spans = [Span(int(s["begin"]), int(s["end"]), str(s["text"]), float(s["weight"])) for s in told["spans"]]
        encoder_end, ngram_end = (None if told.get(key) is None else int(told[key]) for key in ("encoder_end", "ngram_end"))
        explanation = Explanation(
            str(told["label"]), float(told["score"]), float(told["baseline"]), float(told["gap"]), spans,
            encoder_end, ngram_end,
        )  # fmt: skip
    truncated, blank = item.get("truncated", False), item.get("blank", False)
    return Emotion(str(item["label"]), item["score"], item["scores"], truncated, explanation, blank)


def new_request_id() -> str:
    """An id by which the service remembers an answer."""
    return uuid.uuid4().hex


def checked_texts(texts: Iterable[str]) -> List[str]:
    """Returns the texts as a list. All are checked before any is sent, so that a bad text in the last batch wastes no work."""
    if isinstance(texts, (bytes, bytearray)):
        raise TypeError("predict: texts are bytes; decode them first, such as texts.decode('utf-8')")
    if isinstance(texts, (Mapping, AbstractSet)):  # without an order the answers could not be matched to the texts
        raise TypeError(f"predict: texts are a {type(texts).__name__}; give a list, because answers come in its order")
    checked = list(texts)
    for index, text in enumerate(checked):
        if not isinstance(text, str):
            raise TypeError(f"predict: texts[{index}] is {type(text).__name__}; give str")
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise ValueError(f"predict: texts[{index}] holds a lone surrogate at index {error.start}; remove it") from None
    return checked


class BaseModel:
    """The common part of both clients' models. ``name`` is the requested name, which may be an alias."""

    def __init__(self, info: Mapping[str, Any], name: Optional[str] = None) -> None:
        self.name: str = name or info["name"]
        self.version: str = str(info.get("version", ""))
        self.versions: List[str] = [str(version) for version in info.get("versions", [])]
        self.labels: List[str] = list(info.get("labels", []))
        limits = info.get("limits", {})
        self._limits: Dict[str, int] = {key: int(limits.get(key, value)) for key, value in _LIMITS.items()}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, version={self.version!r})"

    @property
    def _path(self) -> str:
        return f"/v1/models/{urllib.parse.quote(self.name, safe='')}/predict"

    def _batches(self, texts: List[str], size: int, explain: bool) -> Iterator[List[str]]:
        """Splits the texts into batches of at most ``size`` texts within the limits of the model."""
        size = max(1, min(size, self._limits["explained_texts" if explain else "texts"]))
        most = self._limits["body_bytes"] - _ENVELOPE
        batch: List[str] = []
        used = 0
        for text in texts:
            cost = len(json.dumps(text, ensure_ascii=False).encode("utf-8")) + 2
            if batch and (len(batch) == size or used + cost > most):
                yield batch
                batch, used = [], 0
            batch.append(text)
            used += cost
        if batch:
            yield batch

    @staticmethod
    def _payload(batch: List[str], explain: bool) -> Dict[str, Any]:
        return {"texts": batch, "explain": True} if explain else {"texts": batch}

    def _emotions(self, answer: Any, batch: List[str], request_id: str) -> List[Emotion]:
        try:
            emotions = [emotion_of(item) for item in answer["predictions"]]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise MaaSError(f"{self.name}: the answer is not a list of predictions ({error!r}); "
                            "check that the endpoint is a qing service") from error
        if len(emotions) != len(batch):
            raise MaaSError(f"{self.name}: {len(emotions)} predictions for {len(batch)} texts")
        for index, emotion in enumerate(emotions):
            emotion.request_id, emotion.request_index = request_id, index
        return emotions


class Model(BaseModel):
    """A model of the service. :meth:`MaaSClient.get_model` returns it. It may be used from several threads."""

    def __init__(self, client: "MaaSClient", info: Mapping[str, Any], name: Optional[str] = None) -> None:
        super().__init__(info, name)
        self._client = client

    @overload
    def predict(self, texts: str, *, explain: bool = False) -> Emotion: ...

    @overload
    def predict(self, texts: Iterable[str], *, explain: bool = False) -> List[Emotion]: ...

    def predict(self, texts: Union[str, Iterable[str]], *, explain: bool = False) -> Union[Emotion, List[Emotion]]:
        """Predicts the emotion of one text, or of several texts in their order. ``explain`` adds explanations.

        Many texts are sent in batches within the limits of the model. TypeError when a text is not a ``str``. ValueError
        when it is not Unicode text (a lone surrogate). Other errors are those of :mod:`maas_sdk.errors`.
        """
        if isinstance(texts, str):
            return self.predict([texts], explain=explain)[0]
        emotions: List[Emotion] = []
        for batch in self._batches(checked_texts(texts), self._client.batch_size, explain):
            request_id = new_request_id()
            answer = self._client.request("POST", self._path, self._payload(batch, explain), request_id)
            emotions.extend(self._emotions(answer, batch, request_id))
        return emotions

    @overload
    async def apredict(self, texts: str, *, explain: bool = False) -> Emotion: ...

    @overload
    async def apredict(self, texts: Iterable[str], *, explain: bool = False) -> List[Emotion]: ...

    async def apredict(
        self, texts: Union[str, Iterable[str]], *, explain: bool = False
    ) -> Union[Emotion, List[Emotion]]:
        """The same as :meth:`predict`, without blocking the event loop."""
        call: Any = functools.partial(self.predict, texts, explain=explain)
        return await asyncio.get_running_loop().run_in_executor(None, call)
