"""A model of the service, for asyncio."""

from __future__ import annotations

import asyncio
import collections
from typing import (
    TYPE_CHECKING, Any, AsyncIterable, AsyncIterator, Deque, Iterable, List, Mapping, Optional, Sequence, Union, overload,
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
    from .aio import AsyncMaaSClient


class AsyncModel(BaseModel):
    """A model of the service. :meth:`AsyncMaaSClient.get_model` returns it."""

    def __init__(
        self, client: "AsyncMaaSClient", info: Mapping[str, Any], name: Optional[str] = None,
        pinned: Union[str, int, None] = None,
    ) -> None:  # fmt: skip
        super().__init__(info, name, pinned)
        self._client = client

    @overload
    async def predict(self, texts: str, *, explain: bool = False, progress: bool = False) -> Emotion: ...  # type: ignore[overload-overlap]

    @overload
    async def predict(self, texts: Iterable[str], *, explain: bool = False, progress: bool = False) -> List[Emotion]: ...

    async def predict(
        self, texts: Union[str, Iterable[str]], *, explain: bool = False, progress: bool = False
    ) -> Union[Emotion, List[Emotion]]:
        """The same as :meth:`Model.predict`."""
        if self.task == IMAGE:
            return await self._predict_images(texts, explain, progress)  # type: ignore[no-any-return]
        call = self._emotion_call(Places("predict"), explain)
        if isinstance(texts, str):
            return (await self._run(call, self._text_batches([texts], call.places), False))[0]  # type: ignore[no-any-return]
        return await self._run(call, self._text_batches(texts, call.places, explain), progress)

    @overload
    async def translate(self, texts: str, *, beam_size: Optional[int] = None,  # type: ignore[overload-overlap]
                        length_penalty: Optional[float] = None,
                        max_tokens: Optional[int] = None, source: Optional[str] = None, target: Optional[str] = None,
                        alignment: bool = False, progress: bool = False) -> Translation: ...  # fmt: skip

    @overload
    async def translate(self, texts: Iterable[str], *, beam_size: Optional[int] = None,
                        length_penalty: Optional[float] = None, max_tokens: Optional[int] = None,
                        source: Optional[str] = None, target: Optional[str] = None,
                        alignment: bool = False, progress: bool = False) -> List[Translation]: ...  # fmt: skip

    async def translate(
        self, texts: Union[str, Iterable[str]], *, beam_size: Optional[int] = None, length_penalty: Optional[float] = None,
        max_tokens: Optional[int] = None, source: Optional[str] = None, target: Optional[str] = None, alignment: bool = False,
        progress: bool = False,
    ) -> Union[Translation, List[Translation]]:  # fmt: skip
        """The same as :meth:`Model.translate`."""
        options = translation_options(beam_size, length_penalty, max_tokens, source, target, alignment)
        call = self._translate_call(options)
        if isinstance(texts, str):
            return (await self._run(call, self._text_batches([texts], call.places), False))[0]  # type: ignore[no-any-return]
        return await self._run(call, self._text_batches(texts, call.places), progress)

    @overload
    async def tag(self, texts: str, *, progress: bool = False) -> List[Entity]: ...  # type: ignore[overload-overlap]

    @overload
    async def tag(self, texts: Iterable[str], *, progress: bool = False) -> List[List[Entity]]: ...

    async def tag(
        self, texts: Union[str, Iterable[str]], *, progress: bool = False
    ) -> Union[List[Entity], List[List[Entity]]]:
        """The same as :meth:`Model.tag`."""
        call = self._tag_call()
        if isinstance(texts, str):
            return (await self._run(call, self._text_batches([texts], call.places), False))[0]  # type: ignore[no-any-return]
        return await self._run(call, self._text_batches(texts, call.places), progress)

    async def embed(self, texts: Union[str, Iterable[str]], *, as_numpy: bool = False, progress: bool = False) -> Any:
        """The same as :meth:`Model.embed`."""
        numpy = numpy_module(as_numpy)
        call = self._embed_call(numpy)
        if isinstance(texts, str):
            return (await self._run(call, self._text_batches([texts], call.places), False))[0]
        return stacked(await self._run(call, self._text_batches(texts, call.places), progress), self.embedding_size, numpy)

    async def _predict_images(self, images: Any, explain: bool, progress: bool) -> Any:
        if explain:
            raise ValueError("predict: explain is for texts; leave it out for images")
        if is_one_image(images):
            return (await self._run(self._image_call(), self._image_batches([images]), False))[0]
        return await self._run(self._image_call(), self._image_batches(images), progress)

    async def _ask(self, call: Call, batch: Batch) -> List[Any]:
        request_id, count = new_request_id(), len(batch.parts)
        with call.places.of_batch(batch.first, count):
            answer = await self._client.request("POST", call.path, call.body_of(batch.parts), request_id)
        return call.read(answer, count, request_id)

    async def _run(self, call: Call, sent: List[Batch], progress: bool) -> List[Any]:
        with Progress(progress, sum(len(batch.parts) for batch in sent)) as bar:
            return self._joined(sent, await self._answers(call, sent, bar), call.places.noun)

    async def stream(
        self, texts: Union[Iterable[str], AsyncIterable[str]], *, explain: bool = False, progress: bool = False
    ) -> AsyncIterator[Emotion]:
        """The same as :meth:`Model.stream`, for ``async for``. The texts may come from an asynchronous iterator."""
        call = self._emotion_call(Places("stream"), explain)
        source = (texts if isinstance(texts, AsyncIterable) else _asynchronous(in_order(texts, "stream"))).__aiter__()
        encoder, size, ahead = self._encoder(call.places, texts), self._client.batch_size, 2 * self._client.concurrency
        waiting: Deque["asyncio.Task[List[Emotion]]"] = collections.deque()
        problem: Optional[Exception] = None
        some: List[bytes] = []
        index = 0  # of the next text

        def send() -> None:
            for batch in self._batches(some, explain, first=index - len(some)):
                waiting.append(asyncio.ensure_future(self._ask(call, batch)))
            some.clear()

        with Progress(progress, count_of(texts)) as bar:
            try:
                while problem is None:
                    try:
                        some.append(encoder.one(await source.__anext__(), index))
                    except StopAsyncIteration:
                        break
                    except Exception as error:  # of a bad text, or of the iterator
                        problem = error
                        break
                    index += 1
                    if len(some) < size:
                        continue
                    send()
                    await asyncio.sleep(0)  # lets the requests begin
                    while waiting and (len(waiting) >= ahead or waiting[0].done()):
                        emotions = await waiting.popleft()
                        bar.add(len(emotions))
                        for emotion in emotions:
                            yield emotion
                send()
                while waiting:
                    emotions = await waiting.popleft()
                    bar.add(len(emotions))
                    for emotion in emotions:
                        yield emotion
            finally:  # also when the caller stops
                for task in waiting:
                    task.cancel()
        if problem is not None:
            raise problem

    async def predict_frame(self, frame: Any, text: Any = "text", *, prefix: str = "predicted_", scores: bool = True,
                            progress: bool = False) -> Any:  # fmt: skip
        """The same as :meth:`Model.predict_frame`."""
        column = Column(frame, text)
        call = self._emotion_call(column.places, False)
        try:
            emotions = await self._run(call, self._text_batches(column.texts, column.places), progress)
        except PartialResult as partial:
            raise rows_of(column, len(frame), partial) from partial.error
        return column.with_columns(emotions, self.labels, self.problem, prefix, scores)

    async def _answers(
        self, call: Call, sent: Sequence[Batch], bar: Progress
    ) -> List[Union[List[Any], BaseException, None]]:
        """The answer or the error of each batch. None for a batch that was not sent because another one failed."""
        places = asyncio.Semaphore(2 * self._client.concurrency)
        failed = False

        async def send(batch: Batch) -> Optional[List[Any]]:
            nonlocal failed
            async with places:
                if failed:
                    return None
                try:
                    answers = await self._ask(call, batch)
                except BaseException:
                    failed = True
                    raise
                bar.add(len(answers))
                return answers

        return await asyncio.gather(*map(send, sent), return_exceptions=True)


async def _asynchronous(texts: Iterable[Any]) -> AsyncIterator[Any]:
    for text in texts:
        yield text
