"""The client for asyncio. It sends the same requests without blocking the event loop, several batches at a time."""

from __future__ import annotations

import asyncio
import os
import ssl
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from typing import Any, AsyncIterator, Iterable, List, Mapping, Optional, Union, overload

from .client import MAX_BATCH, MaaSClient
from .errors import MaaSError
from .feedback import GivenFeedback, feedback_payload, given_feedback, summary_path
from .files import File, FileLike, Form, file_of, list_path, opened, page_of, path_of
from .model import BaseModel, Emotion, checked_texts, new_request_id


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
        concurrency: int = 4,
        ssl_context: Optional[ssl.SSLContext] = None,
    ) -> None:
        if concurrency < 1:
            raise ValueError(f"concurrency {concurrency}: must be at least 1")
        self._client = MaaSClient(api_key, endpoint, timeout, max_retries, batch_size, ssl_context)
        self._concurrency = concurrency
        self._closed = False
        self.files = AsyncFiles(self)
        self._start_threads()

    def _start_threads(self) -> None:
        self._process = os.getpid()
        self._threads = ThreadPoolExecutor(self._concurrency, thread_name_prefix="maas_sdk")

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

    async def __aenter__(self) -> "AsyncMaaSClient":
        return self

    async def __aexit__(self, *exception: Any) -> None:
        await self.close()

    async def close(self) -> None:
        """Releases the threads. Requests that have not begun are cancelled."""
        self._closed = True
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def get_model(self, name: str) -> "AsyncModel":
        """The same as :meth:`MaaSClient.get_model`."""
        if not isinstance(name, str) or not name:
            raise ValueError(f"get_model: name {name!r}; give a model's name such as 'emotion_analysis'")
        answer = await self.request("GET", "/v1/models/" + urllib.parse.quote(name, safe=""))
        return AsyncModel(self, self._client._info(answer), name)

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
        payload: Optional[Mapping[str, Any]] = None,
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
        payload: Optional[Mapping[str, Any]] = None,
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

    def __init__(self, client: AsyncMaaSClient, info: Mapping[str, Any], name: Optional[str] = None) -> None:
        super().__init__(info, name)
        self._client = client

    @overload
    async def predict(self, texts: str, *, explain: bool = False) -> Emotion: ...

    @overload
    async def predict(self, texts: Iterable[str], *, explain: bool = False) -> List[Emotion]: ...

    async def predict(
        self, texts: Union[str, Iterable[str]], *, explain: bool = False
    ) -> Union[Emotion, List[Emotion]]:
        """The same as :meth:`Model.predict`. Several batches are sent at the same time."""
        if isinstance(texts, str):
            return (await self.predict([texts], explain=explain))[0]
        tasks = [
            asyncio.ensure_future(self._predict_batch(batch, explain))
            for batch in self._batches(checked_texts(texts), self._client.batch_size, explain)
        ]
        try:
            results = await asyncio.gather(*tasks)
        except BaseException:
            for task in tasks:  # one failed or the caller cancelled, so the rest is not needed
                task.cancel()
            raise
        return [emotion for batch in results for emotion in batch]

    async def _predict_batch(self, batch: List[str], explain: bool) -> List[Emotion]:
        request_id = new_request_id()
        answer = await self._client.request("POST", self._path, self._payload(batch, explain), request_id)
        return self._emotions(answer, batch, request_id)


class AsyncFeedback:
    """``AsyncMaaSClient.feedback``: the same as :class:`maas_sdk.feedback.Feedback` with awaitable methods."""

    def __init__(self, client: AsyncMaaSClient) -> None:
        self._client = client

    async def create(
        self, answer: Union[Emotion, str], label: str, *, index: Optional[int] = None, text: Optional[str] = None,
        keep_text: bool = False,
    ) -> GivenFeedback:
        payload = feedback_payload(answer, label, index, text, keep_text)
        return given_feedback(await self._client.request("POST", "/v1/feedback", payload), self._client.endpoint)

    async def summary(self, model: Optional[str] = None) -> Mapping[str, Any]:
        told: Mapping[str, Any] = await self._client.request("GET", summary_path(model))
        return told
