"""What a model says of a text."""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Tuple


MULTI_LABEL, ORDINAL, REGRESSION = "multi-label", "ordinal", "regression"  # problems besides "single-label"


class Span(NamedTuple):
    """A part of a text, text[begin:end], and its weight. A weight above 0 supports the label."""

    begin: int
    end: int
    text: str
    weight: float


class Explanation(NamedTuple):
    """Why a text got its label. The weights of the spans sum to score - baseline, up to ``gap``.

    The encoder read ``text[:encoder_end]``. The n-gram head, if the model has one, used ``text[:ngram_end]``. The weights of
    spans after ``encoder_end`` come from their n-grams alone. Both ends are None if the service does not state them. No part
    of the model used what stands behind both ends, and it has no spans.
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

    Of a multi-label model it is equal to its ``labels`` joined by "|", as ``qing predict`` writes them, and to "" without one.
    Of a regression it is equal to its number, so ``float()`` reads it.

    ``request_id`` and ``request_index`` say which text of which request it answers, for feedback. ``version`` is the version
    of the model that answered.
    ``truncated`` means that the text is longer than the encoder reads. ``blank`` means that the text gives no token, so the
    scores are those of an empty text.
    ``labels`` are those of a multi-label model that reach their thresholds, possibly none. They are None for other models.
    Of a multi-label model ``label`` and ``score`` are those of its most likely label. ``value`` is the expected place of
    ordered labels, or a regression's number, which is its ``score``, too. It is None for other models.
    """

    score: float
    scores: Dict[str, float]
    truncated: bool
    explanation: Optional[Explanation]
    blank: bool
    request_id: str
    request_index: int
    version: str
    labels: Optional[Tuple[str, ...]]
    value: Optional[float]
    _label: str

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
        version: str = "",
        labels: Optional[Iterable[str]] = None,
        value: Optional[float] = None,
    ) -> "Emotion":
        names = None if labels is None else tuple(str(name) for name in labels)
        emotion = super().__new__(cls, label if names is None else "|".join(names))
        emotion._label = str(label)
        emotion.explanation = explanation
        emotion.score = float(score)
        emotion.scores = {name: float(value) for name, value in (scores or {label: score}).items()}
        emotion.truncated = bool(truncated)
        emotion.blank = bool(blank)
        emotion.request_id = request_id
        emotion.request_index = request_index
        emotion.version = version
        emotion.labels = names
        emotion.value = None if value is None else float(value)
        return emotion

    def __getnewargs__(self) -> Tuple[Any, ...]:  # for pickle and copy
        return (self._label, self.score, self.scores, self.truncated, self.explanation, self.blank, self.request_id,
                self.request_index, self.version, self.labels, self.value)  # fmt: skip

    @property
    def label(self) -> str:
        """The most likely label, or the number of a regression, as a plain ``str``."""
        return self._label


def _number(value: float) -> str:
    """A number as ``qing predict`` writes it: 3.5, and 3 for 3.0."""
    text = repr(float(value))
    return text[:-2] if text.endswith(".0") else text


def emotion_of(item: Mapping[str, Any], problem: str) -> Emotion:
    """Parses a prediction of the service for a model of that :attr:`Model.problem`. KeyError, TypeError, ValueError or
    AttributeError if it is malformed."""
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
    label = _number(item["value"]) if problem == REGRESSION else str(item["label"])
    return Emotion(
        label, item["score"], item["scores"], truncated, explanation, blank, labels=item.get("labels"),
        value=item.get("value"),
    )  # fmt: skip
