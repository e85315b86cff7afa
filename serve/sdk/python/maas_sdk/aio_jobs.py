"""Training jobs, for asyncio."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, AsyncIterator, Dict, List, Mapping, Optional

from .jobs import BaseJob, Waiting, job_body, job_fields, job_path, metadata_query, page_of, page_path

if TYPE_CHECKING:
    from .aio import AsyncMaaSClient


class AsyncJob(BaseJob):
    """The same as :class:`Job` with awaitable methods."""

    def __init__(self, client: "AsyncMaaSClient", fields: Mapping[str, Any]) -> None:
        super().__init__(fields)
        self._client = client

    async def refresh(self) -> "AsyncJob":
        """The same as :meth:`Job.refresh`."""
        self._take(job_fields(await self._client.request("GET", job_path(self.id))))
        return self

    async def cancel(self) -> "AsyncJob":
        """The same as :meth:`Job.cancel`."""
        return await self._change("cancel")

    async def pause(self) -> "AsyncJob":
        """The same as :meth:`Job.pause`."""
        return await self._change("pause")

    async def resume(self) -> "AsyncJob":
        """The same as :meth:`Job.resume`."""
        return await self._change("resume")

    async def _change(self, verb: str) -> "AsyncJob":
        self._take(job_fields(await self._client.request("POST", f"{job_path(self.id)}/{verb}", {})))
        return self

    async def events(self) -> List[Dict[str, Any]]:
        """The same as :meth:`Job.events`."""
        events = [event async for event in _pages(self._client, job_path(self.id) + "/events", {})]
        return events[::-1]

    async def wait(self, *, progress: bool = True, interval: float = 1.0, timeout: Optional[float] = None) -> "AsyncJob":
        """The same as :meth:`Job.wait`. It may be cancelled, which leaves the job running."""
        with Waiting(self, progress, interval, timeout) as waiting:
            while not (await self.refresh()).done:
                waiting.goes_on()
                await asyncio.sleep(interval)
        self._require_success()
        return self


class AsyncJobs:
    """``client.jobs`` of :class:`AsyncMaaSClient`."""

    def __init__(self, client: "AsyncMaaSClient") -> None:
        self._client = client

    async def create(
        self,
        *,
        training_file: str,
        model: str = "scratch",
        validation_file: Optional[str] = None,
        suffix: Optional[str] = None,
        metadata: Optional[Mapping[str, str]] = None,
        **options: Any,
    ) -> AsyncJob:
        """The same as :meth:`Jobs.create`."""
        body = job_body(training_file, model, validation_file, suffix, metadata, options)
        return AsyncJob(self._client, job_fields(await self._client.request("POST", "/v1/jobs", body)))

    async def retrieve(self, job_id: str) -> AsyncJob:
        """The same as :meth:`Jobs.retrieve`."""
        return AsyncJob(self._client, job_fields(await self._client.request("GET", job_path(job_id))))

    async def list(self, *, metadata: Optional[Mapping[str, str]] = None) -> AsyncIterator[AsyncJob]:
        """The same as :meth:`Jobs.list`, for ``async for``."""
        async for fields in _pages(self._client, "/v1/jobs", metadata_query(metadata)):
            yield AsyncJob(self._client, fields)


async def _pages(client: "AsyncMaaSClient", path: str, query: Mapping[str, str]) -> AsyncIterator[Dict[str, Any]]:
    after: Optional[str] = None
    while True:
        elements, after = page_of(await client.request("GET", page_path(path, query, after)))
        for element in elements:
            yield element
        if after is None:
            return
