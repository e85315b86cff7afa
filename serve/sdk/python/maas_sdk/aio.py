"""The client for asyncio. It sends the same requests without blocking the event loop, several batches at a time."""

from __future__ import annotations

import asyncio
import os
import ssl
from concurrent.futures import ThreadPoolExecutor
from typing import Any, AsyncIterator, List, Mapping, Optional, Union

from .aio_jobs import AsyncJobs
from .aio_model import AsyncModel
from .base_model import model_path
from .client import CONCURRENCY, MAX_BATCH, MaaSClient, Payload
from .emotion import Emotion
from .errors import MaaSError
from .feedback import GivenFeedback, Right, feedback_payload, given_feedback, summary_path
from .files import File, FileLike, Form, file_of, list_path, opened, page_of, path_of


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
        ssl_context: Optional[ssl.SSLContext] = None,
        concurrency: int = CONCURRENCY,
    ) -> None:
        self._client = MaaSClient(api_key, endpoint, timeout, max_retries, batch_size, ssl_context, concurrency)
        self._closed = False
        self.files = AsyncFiles(self)
        self.jobs = AsyncJobs(self)
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
    def timeout(self) -> float:
        return self._client.timeout

    @property
    def max_retries(self) -> int:
        return self._client.max_retries

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

    async def get_model(self, name: str, version: Union[str, int, None] = None) -> AsyncModel:
        """The same as :meth:`MaaSClient.get_model`."""
        return AsyncModel(self, self._client._info(await self.request("GET", model_path(name, version))), name, version)

    async def list_models(self) -> List[AsyncModel]:
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
