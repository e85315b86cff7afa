"""The client for asyncio. It sends the same requests without blocking the event loop, several batches at a time."""

from __future__ import annotations

import asyncio
import collections
import os
import ssl
from concurrent.futures import ThreadPoolExecutor
from typing import (
    Any, AsyncIterable, AsyncIterator, Awaitable, Callable, Deque, Iterable, List, Mapping, Optional, Sequence, Union,
    overload,
)  # fmt: skip

from .client import CONCURRENCY, MAX_BATCH, MaaSClient, Payload
from .emotion import Emotion
from .errors import MaaSError
from .feedback import GivenFeedback, Right, feedback_payload, given_feedback, summary_path
from .files import File, FileLike, Form, file_of, list_path, opened, page_of, path_of
from .frames import Column
from .model import BaseModel, Call, model_path, new_request_id, rows_of
from .partial import PartialResult
from .progress import Progress, count_of
from .tasks import (
    CLASSIFICATION, IMAGE, Entity, Translation, is_one_image, require_task, translation_options,
)  # fmt: skip
from .texts import body, encoded, encoded_text, in_order


class AsyncMaaSClient:
    """The same as :class:`MaaSClient` with awaitable methods. At most ``concurrency`` requests run at a time, each on a
    thread that belongs to the client. A forked process gets its own threads. A cancelled request keeps its thread until the
    service has answered or ``timeout`` is over. Use the client in ``async with``, or call :meth:`close`. A request after
    that is a RuntimeError.
    """

    def __init__(
        self,
        api_key: Optional[str] = None,
        endpoint: Optional[str] = None,
        timeout: float = 30.0,
        max_retries: int = 3,
        batch_size: int = MAX_BATCH,
        concurrency: int = CONCURRENCY,
        ssl_context: Optional[ssl.SSLContext] = None,
    ) -> None:
        self._client = MaaSClient(api_key, endpoint, timeout, max_retries, batch_size, ssl_context, concurrency)
        self._closed = False
        self.files = AsyncFiles(self)
        self._start_threads()

    def _start_threads(self) -> None:
        self._process = os.getpid()
        self._threads = ThreadPoolExecutor(self.concurrency, thread_name_prefix="maas_sdk")

    def _executor(self) -> ThreadPoolExecutor:
        if self._closed:
            raise RuntimeError("AsyncMaaSClient: closed; make a new one")
        if self._process != os.getpid():  # a forked process has no such threads, and the pool would wait for them forever
            self._start_threads()
        return self._threads

    def __repr__(self) -> str:
        return f"AsyncMaaSClient(endpoint={self.endpoint!r})"

    @property
    def endpoint(self) -> str:
        return self._client.endpoint

    @property
    def batch_size(self) -> int:
        return self._client.batch_size

    @property
    def concurrency(self) -> int:
        return self._client.concurrency

    async def __aenter__(self) -> "AsyncMaaSClient":
        return self

    async def __aexit__(self, *exception: Any) -> None:
        await self.close()

    async def close(self) -> None:
        """Releases the threads. Requests that have not begun are cancelled."""
        self._closed = True
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._client.close()

    async def get_model(self, name: str, version: Union[str, int, None] = None) -> "AsyncModel":
        """The same as :meth:`MaaSClient.get_model`."""
        return AsyncModel(self, self._client._info(await self.request("GET", model_path(name, version))), name, version)

    async def list_models(self) -> List["AsyncModel"]:
        """Returns all models of the service."""
        return [AsyncModel(self, info) for info in self._client._infos(await self.request("GET", "/v1/models"))]

    @property
    def feedback(self) -> "AsyncFeedback":
        """Feedback on answers."""
        return AsyncFeedback(self)

    async def request(
        self,
        method: str,
        path: str,
        payload: Payload = None,
        request_id: Optional[str] = None,
        *,
        form: Optional[Form] = None,
    ) -> Any:
        """Sends JSON or a form, retries the request if necessary, and returns the JSON of the answer. The service knows the
        answer by ``request_id``, up to 64 of A-Z a-z 0-9 . _ -."""
        return self._client._decode(await self.request_bytes(method, path, payload, request_id, form=form))

    async def request_bytes(
        self,
        method: str,
        path: str,
        payload: Payload = None,
        request_id: Optional[str] = None,
        *,
        form: Optional[Form] = None,
    ) -> bytes:
        """The same as :meth:`request`, and returns the bytes of the answer."""
        loop, client = asyncio.get_running_loop(), self._client
        for attempt in range(client.max_retries + 1):
            try:
                return await loop.run_in_executor(
                    self._executor(), client._request_once, method, path, payload, request_id, form
                )
            except MaaSError as error:
                if client._lost(error, form) or not client._retried(error) or attempt == client.max_retries:
                    raise
                await asyncio.sleep(client._wait(attempt, error.retry_after))
        raise AssertionError("unreachable: the last attempt returns or raises")


class AsyncFiles:
    """``client.files`` of :class:`AsyncMaaSClient`."""

    def __init__(self, client: AsyncMaaSClient) -> None:
        self._client = client

    async def create(self, *, file: FileLike, purpose: str = "fine-tune") -> File:
        """The same as :meth:`Files.create`. An open file is read on a thread of the client."""
        name, content, owned = opened(file)
        try:
            form = Form({"purpose": purpose}, name, content)
            return file_of(await self._client.request("POST", "/v1/files", form=form))
        finally:
            if owned:
                content.close()

    async def retrieve(self, file_id: str) -> File:
        """The same as :meth:`Files.retrieve`."""
        return file_of(await self._client.request("GET", path_of(file_id)))

    async def list(self, *, purpose: Optional[str] = None, order: str = "desc") -> AsyncIterator[File]:
        """The same as :meth:`Files.list`, for ``async for``."""
        after: Optional[str] = None
        while True:
            files, more = page_of(await self._client.request("GET", list_path(purpose, order, after)))
            for file in files:
                after = file.id
                yield file
            if not more:
                return

    async def content(self, file_id: str) -> bytes:
        """The same as :meth:`Files.content`."""
        return await self._client.request_bytes("GET", path_of(file_id) + "/content")

    async def delete(self, file_id: str) -> None:
        """The same as :meth:`Files.delete`."""
        await self._client.request("DELETE", path_of(file_id))


class AsyncModel(BaseModel):
    """A model of the service. :meth:`AsyncMaaSClient.get_model` returns it."""

    def __init__(
        self, client: AsyncMaaSClient, info: Mapping[str, Any], name: Optional[str] = None,
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
            return await self._predict_images(texts, explain, progress)
        require_task(self.name, self.task, [CLASSIFICATION], "predict")
        if isinstance(texts, str):
            return (await self.predict([texts], explain=explain))[0]
        parts = list(encoded(in_order(texts)))
        groups = list(self._batches(parts, self._client.batch_size, explain))
        with Progress(progress, len(parts)) as bar:
            return self._joined(groups, await self._answers(groups, lambda batch: self._predict_batch(batch, explain), bar))

    @overload
    async def translate(self, texts: str, *, beam_size: Optional[int] = None, length_penalty: Optional[float] = None,
                        max_tokens: Optional[int] = None, source: Optional[str] = None, target: Optional[str] = None,
                        alignment: bool = False, progress: bool = False) -> Translation: ...  # type: ignore[overload-overlap]  # fmt: skip

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
        if isinstance(texts, str):
            return (await self._run(self._translate_call([texts], options), False))[0]  # type: ignore[no-any-return]
        return await self._run(self._translate_call(texts, options), progress)

    @overload
    async def tag(self, texts: str, *, progress: bool = False) -> List[Entity]: ...  # type: ignore[overload-overlap]

    @overload
    async def tag(self, texts: Iterable[str], *, progress: bool = False) -> List[List[Entity]]: ...

    async def tag(
        self, texts: Union[str, Iterable[str]], *, progress: bool = False
    ) -> Union[List[Entity], List[List[Entity]]]:
        """The same as :meth:`Model.tag`."""
        if isinstance(texts, str):
            return (await self._run(self._tag_call([texts]), False))[0]  # type: ignore[no-any-return]
        return await self._run(self._tag_call(texts), progress)

    async def _predict_images(self, images: Any, explain: bool, progress: bool) -> Any:
        if explain:
            raise ValueError("predict: explain is for texts; leave it out for images")
        if is_one_image(images):
            return (await self._run(self._image_call([images]), False))[0]
        return await self._run(self._image_call(images), progress)

    async def _run(self, call: Call, progress: bool) -> List[Any]:
        async def send(batch: List[bytes]) -> List[Any]:
            answer = await self._client.request("POST", call.path, call.body_of(batch), new_request_id())
            return call.read(answer, len(batch))

        with Progress(progress, sum(map(len, call.groups))) as bar:
            return self._joined(call.groups, await self._answers(call.groups, send, bar))

    async def stream(
        self, texts: Union[Iterable[str], AsyncIterable[str]], *, explain: bool = False, progress: bool = False
    ) -> AsyncIterator[Emotion]:
        """The same as :meth:`Model.stream`, for ``async for``. The texts may come from an asynchronous iterator."""
        require_task(self.name, self.task, [CLASSIFICATION], "stream")
        source = texts if isinstance(texts, AsyncIterable) else _asynchronous(in_order(texts, "stream"))
        size, ahead = self._client.batch_size, 2 * self._client.concurrency
        waiting: Deque["asyncio.Task[List[Emotion]]"] = collections.deque()
        problem: Optional[Exception] = None
        some: List[bytes] = []
        index = 0

        def send(parts: List[bytes]) -> None:
            for batch in self._batches(parts, size, explain):
                waiting.append(asyncio.ensure_future(self._predict_batch(batch, explain)))

        with Progress(progress, count_of(texts)) as bar:
            try:
                try:
                    async for text in source:
                        some.append(encoded_text(text, index, "stream"))
                        index += 1
                        if len(some) < size:
                            continue
                        send(some)
                        some = []
                        await asyncio.sleep(0)  # lets the requests begin
                        while waiting and (len(waiting) >= ahead or waiting[0].done()):
                            emotions = await waiting[0]
                            waiting.popleft()
                            bar.add(len(emotions))
                            for emotion in emotions:
                                yield emotion
                except MaaSError:
                    raise
                except Exception as error:  # of a bad text, or of the iterator
                    problem = error
                send(some)
                while waiting:
                    emotions = await waiting[0]
                    waiting.popleft()
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
        require_task(self.name, self.task, [CLASSIFICATION], "predict_frame")
        column = Column(frame, text)
        try:
            emotions = await self.predict(column.texts, progress=progress)
        except PartialResult as partial:
            raise rows_of(column, len(frame), partial) from partial.error
        return column.with_columns(emotions, self.labels, prefix, scores)

    async def _answers(
        self, groups: Sequence[List[bytes]], ask: Callable[[List[bytes]], Awaitable[List[Any]]], bar: Progress
    ) -> List[Union[List[Any], BaseException, None]]:
        """The answer or the error of each batch. None for a batch that was not sent because another one failed."""
        places = asyncio.Semaphore(2 * self._client.concurrency)
        failed = False

        async def send(batch: List[bytes]) -> Optional[List[Any]]:
            nonlocal failed
            async with places:
                if failed:
                    return None
                try:
                    emotions = await ask(batch)
                except BaseException:
                    failed = True
                    raise
                bar.add(len(emotions))
                return emotions

        return await asyncio.gather(*map(send, groups), return_exceptions=True)

    async def _predict_batch(self, batch: List[bytes], explain: bool) -> List[Emotion]:
        request_id = new_request_id()
        answer = await self._client.request("POST", self._path, body(batch, explain), request_id)
        return self._emotions(answer, len(batch), request_id)


async def _asynchronous(texts: Iterable[Any]) -> AsyncIterator[Any]:
    for text in texts:
        yield text


class AsyncFeedback:
    """``AsyncMaaSClient.feedback``: the same as :class:`maas_sdk.feedback.Feedback` with awaitable methods."""

    def __init__(self, client: AsyncMaaSClient) -> None:
        self._client = client

    async def create(
        self, answer: Union[Emotion, str], label: Right, *, index: Optional[int] = None, text: Optional[str] = None,
        keep_text: bool = False,
    ) -> GivenFeedback:
        payload = feedback_payload(answer, label, index, text, keep_text)
        return given_feedback(await self._client.request("POST", "/v1/feedback", payload), self._client.endpoint)

    async def summary(self, model: Optional[str] = None) -> Mapping[str, Any]:
        told: Mapping[str, Any] = await self._client.request("GET", summary_path(model))
        return told
