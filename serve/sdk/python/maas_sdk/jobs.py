"""Training jobs: models made from uploaded files."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping, Optional
from urllib.parse import quote, urlencode

from .errors import MaaSError

if TYPE_CHECKING:
    from .client import MaaSClient

_PAGE = 100
_FINAL = ("succeeded", "failed", "cancelled")


class JobFailedError(MaaSError):
    """A job has failed or was cancelled. ``code`` and the message are those of the job."""


class Job:
    """A training job, as it was when the service was asked last."""

    def __init__(self, client: "MaaSClient", fields: Mapping[str, Any]) -> None:
        self._client = client
        self._take(fields)

    def _take(self, fields: Mapping[str, Any]) -> None:
        self.fields = dict(fields)  #: all members of the answer
        self.id: str = fields["id"]
        self.status: str = fields["status"]
        self.base: str = fields["model"]
        self.model: Optional[str] = fields.get("fine_tuned_model")  #: name of the finished model
        self.error: Optional[Dict[str, Any]] = fields.get("error")
        self.result_files: List[str] = list(fields.get("result_files") or [])
        progress = fields.get("progress") or {}
        self.step: int = progress.get("step", 0)
        self.steps: int = progress.get("steps", 0)

    def __repr__(self) -> str:
        return f"Job(id={self.id!r}, status={self.status!r}, model={self.model!r})"

    @property
    def done(self) -> bool:
        """Whether the job has ended."""
        return self.status in _FINAL

    def refresh(self) -> "Job":
        """Asks the service for the job's state."""
        self._take(_fields(self._client.request("GET", _path(self.id))))
        return self

    def cancel(self) -> "Job":
        """Ends the job for good."""
        return self._change("cancel")

    def pause(self) -> "Job":
        """Stops the job at a checkpoint, until :meth:`resume`."""
        return self._change("pause")

    def resume(self) -> "Job":
        """Lets a paused job go on."""
        return self._change("resume")

    def _change(self, verb: str) -> "Job":
        self._take(_fields(self._client.request("POST", f"{_path(self.id)}/{verb}", {})))
        return self

    def events(self) -> List[Dict[str, Any]]:
        """Returns what happened to the job, the oldest first."""
        events = list(_pages(self._client, _path(self.id) + "/events", {}))
        return events[::-1]

    def wait(self, *, progress: bool = True, interval: float = 1.0, timeout: Optional[float] = None) -> "Job":
        """Waits until the job has ended, and shows a line of its progress on stderr. JobFailedError unless it succeeded;
        TimeoutError after ``timeout`` seconds, with the job still running."""
        end = None if timeout is None else time.monotonic() + timeout
        shown = ""
        try:
            while not self.refresh().done:
                if end is not None and time.monotonic() >= end:
                    raise TimeoutError(f"{self.id}: still {self.status} after {timeout} s")
                line = f"{self.id}: {self.status}, step {self.step}/{self.steps}"
                if progress and line != shown:
                    print("\r" + line.ljust(len(shown)), end="", file=sys.stderr, flush=True)
                    shown = line
                time.sleep(interval)
        finally:
            if shown:
                print(file=sys.stderr)
        if self.status != "succeeded":
            error = self.error or {}
            raise JobFailedError(f"{self.id}: {error.get('message') or self.status}", code=error.get("code"))
        return self


class Jobs:
    """``client.jobs``."""

    def __init__(self, client: "MaaSClient") -> None:
        self._client = client

    def create(
        self,
        *,
        training_file: str,
        model: str = "scratch",
        validation_file: Optional[str] = None,
        suffix: Optional[str] = None,
        metadata: Optional[Mapping[str, str]] = None,
        **options: Any,
    ) -> Job:
        """Makes a job that fine-tunes ``model``, or with "scratch" trains a new one, on an uploaded file. ``options`` are
        those of ``qing train`` by name, such as ``epochs=3``."""
        body = {"training_file": training_file, "model": model, "validation_file": validation_file, "suffix": suffix,
                "metadata": None if metadata is None else dict(metadata), **options}  # fmt: skip
        given = {name: value for name, value in body.items() if value is not None}
        return Job(self._client, _fields(self._client.request("POST", "/v1/jobs", given)))

    def retrieve(self, job_id: str) -> Job:
        """Returns a job."""
        return Job(self._client, _fields(self._client.request("GET", _path(job_id))))

    def list(self, *, metadata: Optional[Mapping[str, str]] = None) -> Iterator[Job]:
        """Yields all jobs, the newest first; only those whose metadata has all of ``metadata``."""
        query = {f"metadata[{name}]": value for name, value in (metadata or {}).items()}
        for fields in _pages(self._client, "/v1/jobs", query):
            yield Job(self._client, fields)


def _path(job_id: str) -> str:
    if not isinstance(job_id, str) or not job_id:
        raise ValueError(f"job_id {job_id!r}: give the id of a job")
    return "/v1/jobs/" + quote(job_id, safe="")


def _fields(answer: Any) -> Mapping[str, Any]:
    if not isinstance(answer, dict) or answer.get("object") != "fine_tuning.job":
        raise MaaSError("the answer does not describe a job; check that it is a qing service")
    return answer


def _pages(client: "MaaSClient", path: str, query: Mapping[str, str]) -> Iterator[Dict[str, Any]]:
    after: Dict[str, str] = {}
    while True:
        answer = client.request("GET", f"{path}?{urlencode({'limit': str(_PAGE), **query, **after})}")
        if not isinstance(answer, dict) or not isinstance(answer.get("data"), list):
            raise MaaSError("the answer has no list; check that it is a qing service")
        yield from answer["data"]
        if not answer.get("has_more") or not answer["data"]:
            return
        after = {"after": answer["data"][-1]["id"]}
