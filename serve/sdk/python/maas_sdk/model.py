"""A model of the service."""

from __future__ import annotations

import asyncio
import collections
import functools
import threading
from concurrent.futures import CancelledError, Future
from typing import (
    TYPE_CHECKING, Any, Deque, Iterable, Iterator, List, Mapping, Optional, Sequence, Union, overload,
)  # fmt: skip

from .base_model import BaseModel, Call, new_request_id, rows_of
from .embeddings import numpy_module, stacked
from .emotion import Emotion
from .frames import Column
from .partial import PartialResult
from .places import Places
from .progress import Progress, count_of
from .tasks import IMAGE, Entity, Translation, is_one_image, translation_options
from .texts import Batch, in_order

if TYPE_CHECKING:
    from .client import MaaSClient


_CLOSED = "MaaSClient: closed while it predicted"


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
        surrogate); InvalidRequestError when one is longer than the model takes. Other errors are those of
        :mod:`maas_sdk.errors`. When only a part of the answers arrived, the error is a :class:`PartialResult` as well, which
        carries them. An error about one text says its index in ``texts``.

        For a model of the task "image", ``texts`` are pictures: bytes of a PNG or JPEG, a path, a file opened with 'rb', an array
        of uint8 [height, width] or [height, width, channels], a picture of PIL, or a list of these. The answers are
        :class:`ImageClass`.
        """
        if self.task == IMAGE:
            return self._predict_images(texts, explain, progress)  # type: ignore[no-any-return]
        call = self._emotion_call(Places("predict"), explain)
        if isinstance(texts, str):
            return self._run(call, self._text_batches([texts], call.places), False)[0]  # type: ignore[no-any-return]
        return self._run(call, self._text_batches(texts, call.places, explain), progress)

    @overload
    def translate(self, texts: str, *, beam_size: Optional[int] = None,  # type: ignore[overload-overlap]
                  length_penalty: Optional[float] = None,
                  max_tokens: Optional[int] = None, source: Optional[str] = None, target: Optional[str] = None,
                  alignment: bool = False, progress: bool = False) -> Translation: ...  # fmt: skip

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
        call = self._translate_call(options)
        if isinstance(texts, str):
            return self._run(call, self._text_batches([texts], call.places), False)[0]  # type: ignore[no-any-return]
        return self._run(call, self._text_batches(texts, call.places), progress)

    @overload
    def tag(self, texts: str, *, progress: bool = False) -> List[Entity]: ...  # type: ignore[overload-overlap]

    @overload
    def tag(self, texts: Iterable[str], *, progress: bool = False) -> List[List[Entity]]: ...

    def tag(self, texts: Union[str, Iterable[str]], *, progress: bool = False) -> Union[List[Entity], List[List[Entity]]]:
        """Finds the named entities of one text, or of several in their order, with a model of the task "tagging". Offsets
        are in characters. Texts, batches and errors are as those of :meth:`predict`; :class:`WrongTaskError` for a model of
        another task."""
        call = self._tag_call()
        if isinstance(texts, str):
            return self._run(call, self._text_batches([texts], call.places), False)[0]  # type: ignore[no-any-return]
        return self._run(call, self._text_batches(texts, call.places), progress)

    def embed(self, texts: Union[str, Iterable[str]], *, as_numpy: bool = False, progress: bool = False) -> Any:
        """The vectors of texts, with a model of the task "embedding". One text gives a list of ``embedding_size`` floats, and
        several a list of such lists in their order. With ``as_numpy`` they are arrays of float32, [embedding_size] and [texts,
        embedding_size]; ImportError if NumPy is not installed. The values are those of sentence-transformers' ``encode()``:
        of length 1 only where the model's own modules normalize. Texts, batches and errors are as those of :meth:`predict`;
        :class:`WrongTaskError` for a model of another task."""
        numpy = numpy_module(as_numpy)
        call = self._embed_call(numpy)
        if isinstance(texts, str):
            return self._run(call, self._text_batches([texts], call.places), False)[0]
        return stacked(self._run(call, self._text_batches(texts, call.places), progress), self.embedding_size, numpy)

    def _predict_images(self, images: Any, explain: bool, progress: bool) -> Any:
        if explain:
            raise ValueError("predict: explain is for texts; leave it out for images")
        if is_one_image(images):
            return self._run(self._image_call(), self._image_batches([images]), False)[0]
        return self._run(self._image_call(), self._image_batches(images), progress)

    def _ask(self, call: Call, batch: Batch) -> List[Any]:
        request_id, count = new_request_id(), len(batch.parts)
        with call.places.of_batch(batch.first, count):
            answer = self._client.request("POST", call.path, call.body_of(batch.parts), request_id)
        return call.read(answer, count, request_id)

    def _run(self, call: Call, sent: List[Batch], progress: bool) -> List[Any]:
        with Progress(progress, sum(len(batch.parts) for batch in sent)) as bar:
            return self._joined(sent, self._answers(call, sent, bar), call.places.noun)

    def stream(self, texts: Iterable[str], *, explain: bool = False, progress: bool = False) -> Iterator[Emotion]:
        """Yields the predictions of any number of texts in their order, while later ones are computed. ``texts`` are read
        as they are needed, a few batches ahead, so an endless iterator is fine. A batch is sent when it is full or the texts
        end. An error, also that of a bad text, comes after all predictions before it."""
        call = self._emotion_call(Places("stream"), explain)
        parts = self._encoder(call.places, texts).all(in_order(texts, "stream"))
        return self._stream(call, parts, count_of(texts), explain, progress)

    def predict_frame(self, frame: Any, text: Any = "text", *, prefix: str = "predicted_", scores: bool = True,
                      progress: bool = False) -> Any:  # fmt: skip
        """Returns a copy of a DataFrame of pandas or polars with the columns that ``qing predict --file`` adds. These are
        ``predicted_label`` and ``predicted_score``, and with ``scores`` one ``predicted_score_LABEL`` for each label. A
        multi-label model has no ``predicted_score``, and its labels are joined by "|". Ordered labels have
        ``predicted_value``, too, and a regression has only that. ``text`` names the column of the texts. The index
        stays. Where the text is missing, so are the new values. ValueError if the column is not there, or if a new one is
        already: then give another ``prefix``. In a :class:`PartialResult` each row has a place.
        """
        column = Column(frame, text)
        call = self._emotion_call(column.places, False)
        try:
            emotions = self._run(call, self._text_batches(column.texts, column.places), progress)
        except PartialResult as partial:
            raise rows_of(column, len(frame), partial) from partial.error
        return column.with_columns(emotions, self.labels, self.problem, prefix, scores)

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

    def _answers(self, call: Call, sent: Sequence[Batch], bar: Progress) -> List[Union[List[Any], BaseException, None]]:
        """The answer or the error of each batch. None for a batch that was not sent because another one failed."""
        if len(sent) == 1:  # no thread is needed
            answer = self._ask(call, sent[0])
            bar.add(len(answer))
            return [answer]
        failed = threading.Event()

        def send(batch: Batch) -> Optional[List[Any]]:
            if failed.is_set():
                return None
            try:
                return self._ask(call, batch)
            except BaseException:
                failed.set()
                raise

        answers: List[Union[List[Any], BaseException, None]] = []
        threads = self._client._threads()
        try:
            waiting = [threads.submit(send, batch) for batch in sent]
        except RuntimeError:
            raise RuntimeError(_CLOSED) from None
        try:
            for future in waiting:
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
            for future in waiting:
                future.cancel()
        if any(answer is None for answer in answers) and not any(isinstance(answer, Exception) for answer in answers):
            raise RuntimeError(_CLOSED)
        return answers

    def _stream(
        self, call: Call, parts: Iterable[bytes], count: Optional[int], explain: bool, progress: bool
    ) -> Iterator[Emotion]:
        groups = self._batches(parts, explain)
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
                        waiting.append(threads.submit(self._ask, call, batch))
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
