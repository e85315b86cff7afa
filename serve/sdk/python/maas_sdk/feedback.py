"""Feedback: says which label, labels or number of an answered text is right."""

from __future__ import annotations

import urllib.parse
from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Union

from .errors import MaaSError
from .emotion import Emotion

if TYPE_CHECKING:
    from .client import MaaSClient


Right = Union[str, float, Iterable[str]]  #: a label, any labels, or a number
Stored = Union[str, float, List[str]]


class GivenFeedback(NamedTuple):
    """Feedback as the service stored it. ``predicted`` and ``label`` are a label, of a multi-label model a list of labels, of
    a model of numbers a number. ``text_kept`` says whether the text was stored with it."""

    id: str
    model: str
    version: str
    request_id: str
    index: int  # type: ignore[assignment]  # which hides tuple.index()
    predicted: Stored
    label: Stored
    agreed: bool
    text_kept: bool
    created: int


def _label(label: Right) -> Stored:
    if isinstance(label, Emotion) and label.labels is not None:
        return list(label.labels)
    if isinstance(label, Emotion) and label.value is not None and len(label.scores) == 1:  # a number; an order has two labels
        return label.value
    if isinstance(label, str):
        return str(label)
    if isinstance(label, Iterable):
        return [str(one) for one in label]
    return float(label)


def feedback_payload(
    answer: Union[Emotion, str], label: Right, index: Optional[int], text: Optional[str], keep_text: bool
) -> Dict[str, Any]:
    """The body of a request. ValueError for a text that is to be kept and is missing, and for a prediction that is none of
    the service's."""
    if isinstance(answer, Emotion):
        if not answer.request_id:
            raise ValueError("feedback: this prediction has no request_id; give one that Model.predict returned")
        request_id, index = answer.request_id, answer.request_index if index is None else index
    else:
        request_id, index = answer, 0 if index is None else index
    if keep_text and not text:
        raise ValueError("feedback: keep_text needs the text; give text=")
    payload: Dict[str, Any] = {"request_id": request_id, "label": _label(label), "index": index}
    if keep_text:  # a text that is not to be kept need not leave this machine
        payload.update(text=text, keep_text=True)
    return payload


def given_feedback(answer: Any, endpoint: str) -> GivenFeedback:
    """Parses the answer of the service."""
    try:
        return GivenFeedback(*(answer[name] for name in GivenFeedback._fields))
    except (KeyError, TypeError):
        raise MaaSError(f"{endpoint}: the answer is no feedback; check that it is a qing service") from None


def summary_path(model: Optional[str]) -> str:
    return "/v1/feedback/summary" + ("" if model is None else "?" + urllib.parse.urlencode({"model": model}))


class Feedback:
    """``MaaSClient.feedback``."""

    def __init__(self, client: "MaaSClient") -> None:
        self._client = client

    def create(
        self, answer: Union[Emotion, str], label: Right, *, index: Optional[int] = None, text: Optional[str] = None,
        keep_text: bool = False,
    ) -> GivenFeedback:
        """Says that ``label`` is right for a prediction of :meth:`Model.predict`, or for the text ``index`` of the request
        with the id ``answer``: a label, of a multi-label model a list of labels, of a model of numbers a number. A
        prediction stands for what it predicts. The text is sent and stored only with ``keep_text``. A later call for the
        same text replaces this one. MaaSError for a request that the service does not remember and for a label that the
        model does not have.
        """
        payload = feedback_payload(answer, label, index, text, keep_text)
        return given_feedback(self._client.request("POST", "/v1/feedback", payload), self._client.endpoint)

    def summary(self, model: Optional[str] = None) -> Mapping[str, Any]:
        """Agreement of feedback with the answers, by model, version and label."""
        told: Mapping[str, Any] = self._client.request("GET", summary_path(model))
        return told
