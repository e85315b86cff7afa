"""A model of the service and what it says of a text."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Mapping, Tuple, Union, overload

from .errors import MaaSError

if TYPE_CHECKING:
    from .client import MaaSClient


class Emotion(str):
    """A prediction: a ``str`` equal to its label, with the scores beside it."""

    score: float
    scores: Dict[str, float]
    truncated: bool

    def __new__(
        cls, label: str, score: float = 1.0, scores: Union[Mapping[str, float], None] = None, truncated: bool = False
    ) -> "Emotion":
        emotion = super().__new__(cls, label)
        emotion.score = float(score)
        emotion.scores = {name: float(value) for name, value in (scores or {label: score}).items()}
        emotion.truncated = bool(truncated)
        return emotion

    def __getnewargs__(self) -> Tuple[Any, ...]:  # for pickle and copy
        return (str(self), self.score, self.scores, self.truncated)

    @property
    def label(self) -> str:
        """The most likely label, as a plain ``str``."""
        return str.__str__(self)


class Model:
    """A model of the service; made by :meth:`MaaSClient.get_model`. May be used from several threads."""

    def __init__(self, client: "MaaSClient", info: Mapping[str, Any]) -> None:
        self._client = client
        self.name: str = info["name"]
        self.version: str = str(info.get("version", ""))
        self.versions: List[str] = [str(version) for version in info.get("versions", [])]
        self.labels: List[str] = list(info.get("labels", []))

    def __repr__(self) -> str:
        return f"Model({self.name!r}, version={self.version!r})"

    @overload
    def predict(self, texts: str) -> Emotion: ...

    @overload
    def predict(self, texts: Iterable[str]) -> List[Emotion]: ...

    def predict(self, texts: Union[str, Iterable[str]]) -> Union[Emotion, List[Emotion]]:
        """The emotion of a text, or of each of several texts, in their order.

        Many texts go out in batches. TypeError when a text is no ``str``, ValueError when it is not Unicode text
        (a lone surrogate); else what :mod:`maas_sdk.errors` lists.
        """
        if isinstance(texts, str):
            return self._predict_all([texts])[0]
        if isinstance(texts, (bytes, bytearray)):
            raise TypeError("predict: texts are bytes; decode them first, such as texts.decode('utf-8')")
        return self._predict_all(list(texts))

    @overload
    async def apredict(self, texts: str) -> Emotion: ...

    @overload
    async def apredict(self, texts: Iterable[str]) -> List[Emotion]: ...

    async def apredict(self, texts: Union[str, Iterable[str]]) -> Union[Emotion, List[Emotion]]:
        """As :meth:`predict`, without blocking the event loop."""
        call: Any = functools.partial(self.predict, texts)
        return await asyncio.get_running_loop().run_in_executor(None, call)

    def _predict_all(self, texts: List[str]) -> List[Emotion]:
        # All are checked before any is sent: a bad text in the last batch must not waste the others.
        for index, text in enumerate(texts):
            if not isinstance(text, str):
                raise TypeError(f"predict: texts[{index}] is {type(text).__name__}; give str")
            try:
                text.encode("utf-8")
            except UnicodeEncodeError as error:
                raise ValueError(f"predict: texts[{index}] holds a lone surrogate at {error.start}; remove it") from None
        emotions: List[Emotion] = []
        for begin in range(0, len(texts), self._client.batch_size):
            batch = texts[begin : begin + self._client.batch_size]
            emotions.extend(self._predict_batch(batch))
        return emotions

    def _predict_batch(self, batch: List[str]) -> List[Emotion]:
        answer = self._client.request("POST", f"/v1/models/{self.name}/predict", {"texts": batch})
        try:
            emotions = [
                Emotion(str(item["label"]), item["score"], item["scores"], item.get("truncated", False))
                for item in answer["predictions"]
            ]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise MaaSError(f"{self.name}: the answer is no list of predictions ({error!r}); "
                            "check that the endpoint is a qing service") from error
        if len(emotions) != len(batch):
            raise MaaSError(f"{self.name}: {len(emotions)} predictions for {len(batch)} texts")
        return emotions
