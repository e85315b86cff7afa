"""A model of the service."""

from __future__ import annotations

import asyncio
import collections
import functools
import threading
import urllib.parse
import uuid
from concurrent.futures import CancelledError, Future
from typing import (
    TYPE_CHECKING, Any, Callable, Deque, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Union, overload,
)  # fmt: skip

from .emotion import Emotion, emotion_of
from .errors import MaaSError
from .frames import Column
from .partial import PartialResult, partial_result
from .progress import Progress, count_of
from .tasks import (
    CLASSIFICATION, IMAGE, TAGGING, TRANSLATION, Entity, ImageClass, Translation, classes_of, entities_of, image_parts,
    images_body, is_one_image, require_task, text_parts, texts_body, translation_options, translations_of,
)  # fmt: skip
from .texts import batches, body, encoded, in_order

if TYPE_CHECKING:
    from .client import MaaSClient


_LIMITS = {"texts": 1024, "explained_texts": 64, "images": 64, "body_bytes": 1 << 20}  # defaults if a service does not state them
_ENVELOPE = 256  # bytes of a request body besides its texts
_CLOSED = "MaaSClient: closed while it predicted"


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
    """A call of a route in batches: where, what, and how a batch is written and its answer is read."""

    def __init__(
        self, path: str, groups: List[List[bytes]], body_of: Callable[[List[bytes]], bytes],
        read: Callable[[Any, int], List[Any]],
    ) -> None:  # fmt: skip
        self.path, self.groups, self.body_of, self.read = path, groups, body_of, read


class BaseModel:
    """The common part of both clients' models. ``name`` is the requested name, which may be an alias."""

    def __init__(self, info: Mapping[str, Any], name: Optional[str] = None, pinned: Union[str, int, None] = None) -> None:
        self.name: str = name or info["name"]
        self.version: str = str(info.get("version", ""))  #: when the model was asked for; each Emotion has its own
        self.pinned: bool = pinned is not None  #: whether all answers come from this version
        self.versions: List[str] = [str(version) for version in info.get("versions", [])]
        self.labels: List[str] = list(info.get("labels", []))
        self.task: str = str(info.get("task", CLASSIFICATION))  #: such as "translation"; see the methods
        limits = info.get("limits", {})
        self._limits: Dict[str, int] = {key: int(limits.get(key, value)) for key, value in _LIMITS.items()}
        self._root = model_path(self.name, pinned)
        self._path = self._root + "/predict"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, version={self.version!r}{', pinned=True' if self.pinned else ''})"

    def _batches(self, texts: Iterable[bytes], size: int, explain: bool, limit: str = "texts") -> Iterator[List[bytes]]:
        """Cuts the texts, or what ``limit`` names, into batches of at most ``size`` within the limits of the model."""
        size = max(1, min(size, self._limits["explained_texts" if explain else limit]))
        return batches(texts, size, self._limits["body_bytes"] - _ENVELOPE)

    def _translate_call(self, texts: Any, options: bytes) -> "Call":
        require_task(self.name, self.task, [TRANSLATION], "translate")
        return Call(self._root + "/translate", list(self._batches(text_parts(texts, "translate"), self._size(), False)),
                    lambda batch: texts_body(batch, options), lambda answer, count: translations_of(answer, count, self.name))

    def _tag_call(self, texts: Any) -> "Call":
        require_task(self.name, self.task, [TAGGING], "tag")
        return Call(self._root + "/tag", list(self._batches(text_parts(texts, "tag"), self._size(), False)),
                    lambda batch: texts_body(batch, b""), lambda answer, count: entities_of(answer, count, self.name))

    def _image_call(self, images: Iterable[Any]) -> "Call":
        return Call(self._path, list(self._batches(image_parts(images), self._size(), False, "images")), images_body,
                    lambda answer, count: classes_of(answer, count, self.name))

    def _size(self) -> int:
        size: int = self._client.batch_size  # type: ignore[attr-defined]
        return size

    def _emotions(self, answer: Any, count: int, request_id: str) -> List[Emotion]:
        try:
            emotions = [emotion_of(item) for item in answer["predictions"]]
            version = str(answer.get("version", self.version))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise MaaSError(f"{self.name}: the answer is not a list of predictions ({error!r}); "
                            "check that the endpoint is a qing service") from error
        if len(emotions) != count:
            raise MaaSError(f"{self.name}: {len(emotions)} predictions for {count} texts")
        for index, emotion in enumerate(emotions):
            emotion.request_id, emotion.request_index, emotion.version = request_id, index, version
        return emotions

    @staticmethod
    def _joined(groups: Sequence[List[bytes]], answers: Sequence[Union[List[Any], BaseException, None]]) -> List[Any]:
        """The answers of all batches in order. The first error is raised, with what arrived if anything did."""
        error = next((answer for answer in answers if isinstance(answer, BaseException)), None)
        if error is None:
            return [emotion for answer in answers for emotion in answer or ()]  # type: ignore[union-attr]
        results: List[Optional[Any]] = []
        for group, answer in zip(groups, answers):
            results.extend(answer if isinstance(answer, list) else [None] * len(group))
        if not isinstance(error, MaaSError) or all(emotion is None for emotion in results):
            raise error
        raise partial_result(results, error) from error


def rows_of(column: Column, rows: int, partial: PartialResult) -> PartialResult:
    """The same with a place for each row of the table."""
    results: List[Optional[Emotion]] = [None] * rows
    for row, emotion in zip(column.positions, partial.results):
        results[row] = emotion
    return partial_result(results, partial.error)


class Model(BaseModel):
    """A model of the service. :meth:`MaaSClient.get_model` returns it. It may be used from several threads."""

    def __init__(
        self, client: "MaaSClient", info: Mapping[str, Any], name: Optional[str] = None, pinned: Union[str, int, None] = None
    ) -> None:
        super().__init__(info, name, pinned)
        self._client = client

    @overload
    def predict(self, texts: str, *, explain: bool = False, progress: bool = False) -> Emotion: ...  # type: ignore[overload-overlap]

    @overload
    def predict(self, texts: Iterable[str], *, explain: bool = False, progress: bool = False) -> List[Emotion]: ...

    def predict(
        self, texts: Union[str, Iterable[str]], *, explain: bool = False, progress: bool = False
    ) -> Union[Emotion, List[Emotion]]:
        """Predicts the emotion of one text, or of several texts in their order. ``explain`` adds explanations, ``progress``
        shows a bar on stderr.

        ``texts`` may be a list, a tuple, a Series, an array of one dimension or an iterator. Many texts are sent in batches
        within the limits of the model, several at a time. All texts are checked before any is sent: TypeError when one is
        not a ``str``, or when ``texts`` have no order or are a table; ValueError when one is not Unicode text (a lone
        surrogate). Other errors are those of :mod:`maas_sdk.errors`. When only a part of the answers arrived, the error is a
        :class:`PartialResult` as well, which carries them.

        For a model of the task "image", ``texts`` are pictures: bytes of a PNG or JPEG, a path, an array of uint8
        [height, width] or [height, width, channels], a picture of PIL, or a list of these. The answers are
        :class:`ImageClass`.
        """
        if self.task == IMAGE:
            return self._predict_images(texts, explain, progress)
        require_task(self.name, self.task, [CLASSIFICATION], "predict")
        if isinstance(texts, str):
            return self.predict([texts], explain=explain)[0]
        parts = list(encoded(in_order(texts)))
        groups = list(self._batches(parts, self._client.batch_size, explain))
        with Progress(progress, len(parts)) as bar:
            return self._joined(groups, self._answers(groups, lambda batch: self._predict_batch(batch, explain), bar))

    @overload
    def translate(self, texts: str, *, beam_size: Optional[int] = None, length_penalty: Optional[float] = None,
                  max_tokens: Optional[int] = None, source: Optional[str] = None, target: Optional[str] = None,
                  alignment: bool = False, progress: bool = False) -> Translation: ...  # type: ignore[overload-overlap]  # fmt: skip

    @overload
    def translate(self, texts: Iterable[str], *, beam_size: Optional[int] = None, length_penalty: Optional[float] = None,
                  max_tokens: Optional[int] = None, source: Optional[str] = None, target: Optional[str] = None,
                  alignment: bool = False, progress: bool = False) -> List[Translation]: ...  # fmt: skip

    def translate(
        self, texts: Union[str, Iterable[str]], *, beam_size: Optional[int] = None, length_penalty: Optional[float] = None,
        max_tokens: Optional[int] = None, source: Optional[str] = None, target: Optional[str] = None, alignment: bool = False,
        progress: bool = False,
    ) -> Union[Translation, List[Translation]]:  # fmt: skip
        """Translates one text, or several in their order, with a model of the task "translation". ``source`` and ``target``
        are languages such as "en" and "zh", where the model has several. What is not given is as the service has it. With
        ``alignment`` each translation has the decoder's attention to its source (:class:`Alignment`). Texts, batches and
        errors are as those of :meth:`predict`; :class:`WrongTaskError` for a model of another task."""
        options = translation_options(beam_size, length_penalty, max_tokens, source, target, alignment)
        if isinstance(texts, str):
            return self._run(self._translate_call([texts], options), False)[0]  # type: ignore[no-any-return]
        return self._run(self._translate_call(texts, options), progress)

    @overload
    def tag(self, texts: str, *, progress: bool = False) -> List[Entity]: ...  # type: ignore[overload-overlap]

    @overload
    def tag(self, texts: Iterable[str], *, progress: bool = False) -> List[List[Entity]]: ...

    def tag(self, texts: Union[str, Iterable[str]], *, progress: bool = False) -> Union[List[Entity], List[List[Entity]]]:
        """Finds the named entities of one text, or of several in their order, with a model of the task "tagging". Offsets
        are in characters. Texts, batches and errors are as those of :meth:`predict`; :class:`WrongTaskError` for a model of
        another task."""
        if isinstance(texts, str):
            return self._run(self._tag_call([texts]), False)[0]  # type: ignore[no-any-return]
        return self._run(self._tag_call(texts), progress)

    def _predict_images(self, images: Any, explain: bool, progress: bool) -> Any:
        if explain:
            raise ValueError("predict: explain is for texts; leave it out for images")
        if is_one_image(images):
            return self._run(self._image_call([images]), False)[0]
        return self._run(self._image_call(images), progress)

    def _run(self, call: Call, progress: bool) -> List[Any]:
        def send(batch: List[bytes]) -> List[Any]:
            answer = self._client.request("POST", call.path, call.body_of(batch), new_request_id())
            return call.read(answer, len(batch))

        with Progress(progress, sum(map(len, call.groups))) as bar:
            return self._joined(call.groups, self._answers(call.groups, send, bar))

    def stream(self, texts: Iterable[str], *, explain: bool = False, progress: bool = False) -> Iterator[Emotion]:
        """Yields the predictions of any number of texts in their order, while later ones are computed. ``texts`` are read
        as they are needed, a few batches ahead, so an endless iterator is fine. A batch is sent when it is full or the texts
        end. An error, also that of a bad text, comes after all predictions before it."""
        require_task(self.name, self.task, [CLASSIFICATION], "stream")
        return self._stream(in_order(texts, "stream"), count_of(texts), explain, progress)

    def predict_frame(self, frame: Any, text: Any = "text", *, prefix: str = "predicted_", scores: bool = True,
                      progress: bool = False) -> Any:  # fmt: skip
        """Returns a copy of a DataFrame of pandas or polars with the columns ``predicted_label`` and ``predicted_score``,
        and with ``scores`` one ``predicted_score_LABEL`` for each label. ``text`` names the column of the texts. The index
        stays. Where the text is missing, so are the new values. ValueError if the column is not there, or if a new one is
        already: then give another ``prefix``. In a :class:`PartialResult` each row has a place.
        """
        require_task(self.name, self.task, [CLASSIFICATION], "predict_frame")
        column = Column(frame, text)
        try:
            emotions = self.predict(column.texts, progress=progress)
        except PartialResult as partial:
            raise rows_of(column, len(frame), partial) from partial.error
        return column.with_columns(emotions, self.labels, prefix, scores)

    @overload
    async def apredict(self, texts: str, *, explain: bool = False) -> Emotion: ...  # type: ignore[overload-overlap]

    @overload
    async def apredict(self, texts: Iterable[str], *, explain: bool = False) -> List[Emotion]: ...

    async def apredict(
        self, texts: Union[str, Iterable[str]], *, explain: bool = False
    ) -> Union[Emotion, List[Emotion]]:
        """The same as :meth:`predict`, without blocking the event loop."""
        call: Any = functools.partial(self.predict, texts, explain=explain)
        return await asyncio.get_running_loop().run_in_executor(None, call)

    def _predict_batch(self, batch: List[bytes], explain: bool) -> List[Emotion]:
        request_id = new_request_id()
        answer = self._client.request("POST", self._path, body(batch, explain), request_id)
        return self._emotions(answer, len(batch), request_id)

    def _answers(
        self, groups: Sequence[List[bytes]], ask: Callable[[List[bytes]], List[Any]], bar: Progress
    ) -> List[Union[List[Any], BaseException, None]]:
        """The answer or the error of each batch. None for a batch that was not sent because another one failed."""
        if len(groups) == 1:  # no thread is needed
            answer = ask(groups[0])
            bar.add(len(answer))
            return [answer]
        failed = threading.Event()

        def send(batch: List[bytes]) -> Optional[List[Any]]:
            if failed.is_set():
                return None
            try:
                return ask(batch)
            except BaseException:
                failed.set()
                raise

        answers: List[Union[List[Any], BaseException, None]] = []
        threads = self._client._threads()
        try:
            sent = [threads.submit(send, batch) for batch in groups]
        except RuntimeError:
            raise RuntimeError(_CLOSED) from None
        try:
            for future in sent:
                try:
                    answer_or_none = future.result()
                    bar.add(len(answer_or_none or ()))
                    answers.append(answer_or_none)
                except CancelledError:  # the client was closed
                    answers.append(None)
                except Exception as error:
                    answers.append(error)
        finally:  # also when the user interrupts
            failed.set()
            for future in sent:
                future.cancel()
        if any(answer is None for answer in answers) and not any(isinstance(answer, Exception) for answer in answers):
            raise RuntimeError(_CLOSED)
        return answers

    def _stream(self, texts: Iterable[Any], count: Optional[int], explain: bool, progress: bool) -> Iterator[Emotion]:
        groups = self._batches(encoded(texts, "stream"), self._client.batch_size, explain)
        ahead = 2 * self._client.concurrency  # so that no thread waits for the caller
        waiting: Deque["Future[List[Emotion]]"] = collections.deque()
        problem: Optional[Exception] = None
        threads = self._client._threads()
        with Progress(progress, count) as bar:
            try:
                while problem is None:
                    try:
                        batch = next(groups, None)
                    except Exception as error:  # of a bad text, or of the iterator
                        problem = error
                        break
                    if batch is None:
                        break
                    try:
                        waiting.append(threads.submit(self._predict_batch, batch, explain))
                    except RuntimeError:
                        raise RuntimeError(_CLOSED) from None
                    while waiting and (len(waiting) >= ahead or waiting[0].done()):
                        emotions = _arrived(waiting.popleft())
                        bar.add(len(emotions))
                        yield from emotions
                while waiting:
                    emotions = _arrived(waiting.popleft())
                    bar.add(len(emotions))
                    yield from emotions
            finally:  # also when the caller stops
                for future in waiting:
                    future.cancel()
        if problem is not None:
            raise problem


def _arrived(future: "Future[List[Emotion]]") -> List[Emotion]:
    try:
        return future.result()
    except CancelledError:
        raise RuntimeError(_CLOSED) from None
