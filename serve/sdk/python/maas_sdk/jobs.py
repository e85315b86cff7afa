"""Training jobs: models made from uploaded files."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping, Optional, Tuple
from urllib.parse import quote, urlencode

from .arguments import check_seconds
from .errors import MaaSError

if TYPE_CHECKING:
    from .client import MaaSClient

_PAGE = 100
_FINAL = ("succeeded", "failed", "cancelled")


class JobFailedError(MaaSError):
    """A job has failed or was cancelled. ``code`` and the message are those of the job."""


class BaseJob:
    """The common part of both clients' jobs."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
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
        return f"{type(self).__name__}(id={self.id!r}, status={self.status!r}, model={self.model!r})"

    @property
    def done(self) -> bool:
        """Whether the job has ended."""
        return self.status in _FINAL

    def _require_success(self) -> None:
        if self.status != "succeeded":
            error = self.error or {}
            raise JobFailedError(f"{self.id}: {error.get('message') or self.status}", code=error.get("code"))


class Waiting:
    """Waits for a job: a line of its progress on stderr if ``shown``, and the end of the time. Use it in ``with``. TypeError
    for times that are no numbers."""

    def __init__(self, job: BaseJob, shown: bool, interval: float, timeout: Optional[float]) -> None:
        check_seconds("interval", interval)
        if timeout is not None:
            check_seconds("timeout", timeout)
        self._job, self._shown, self._timeout = job, shown, timeout
        self._end = None if timeout is None else time.monotonic() + timeout
        self._line = ""

    def __enter__(self) -> "Waiting":
        return self

    def __exit__(self, *exception: Any) -> None:
        if self._line:
            print(file=sys.stderr)

    def goes_on(self) -> None:
        """Shows how far the job is. TimeoutError when the time is over."""
        job = self._job
        if self._end is not None and time.monotonic() >= self._end:
            raise TimeoutError(f"{job.id}: still {job.status} after {self._timeout} s")
        line = f"{job.id}: {job.status}, step {job.step}/{job.steps}"
        if self._shown and line != self._line:
            print("\r" + line.ljust(len(self._line)), end="", file=sys.stderr, flush=True)
            self._line = line


class Job(BaseJob):
    """A training job, as it was when the service was asked last."""

    def __init__(self, client: "MaaSClient", fields: Mapping[str, Any]) -> None:
        super().__init__(fields)
        self._client = client

    def refresh(self) -> "Job":
        """Asks the service for the job's state."""
        self._take(job_fields(self._client.request("GET", job_path(self.id))))
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
        self._take(job_fields(self._client.request("POST", f"{job_path(self.id)}/{verb}", {})))
        return self

    def events(self) -> List[Dict[str, Any]]:
        """Returns what happened to the job, the oldest first."""
        events = list(_pages(self._client, job_path(self.id) + "/events", {}))
        return events[::-1]

    def wait(self, *, progress: bool = True, interval: float = 1.0, timeout: Optional[float] = None) -> "Job":
        """Waits until the job has ended, and shows a line of its progress on stderr. JobFailedError unless it succeeded;
        TimeoutError after ``timeout`` seconds, with the job still running."""
        with Waiting(self, progress, interval, timeout) as waiting:
            while not self.refresh().done:
                waiting.goes_on()
                time.sleep(interval)
        self._require_success()
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
        body = job_body(training_file, model, validation_file, suffix, metadata, options)
        return Job(self._client, job_fields(self._client.request("POST", "/v1/jobs", body)))

    def retrieve(self, job_id: str) -> Job:
        """Returns a job."""
        return Job(self._client, job_fields(self._client.request("GET", job_path(job_id))))

    def list(self, *, metadata: Optional[Mapping[str, str]] = None) -> Iterator[Job]:
        """Yields all jobs, the newest first; only those whose metadata has all of ``metadata``."""
        for fields in _pages(self._client, "/v1/jobs", metadata_query(metadata)):
            yield Job(self._client, fields)


def job_path(job_id: str) -> str:
    """The path of a job. ValueError for what is no id."""
    if not isinstance(job_id, str) or not job_id:
        raise ValueError(f"job_id {job_id!r}: give the id of a job")
    return "/v1/jobs/" + quote(job_id, safe="")


def job_body(
    training_file: str, model: str, validation_file: Optional[str], suffix: Optional[str],
    metadata: Optional[Mapping[str, str]], options: Mapping[str, Any],
) -> Dict[str, Any]:  # fmt: skip
    """The body of a request for a job."""
    body = {"training_file": training_file, "model": model, "validation_file": validation_file, "suffix": suffix,
            "metadata": None if metadata is None else dict(metadata), **options}  # fmt: skip
    return {name: value for name, value in body.items() if value is not None}


def metadata_query(metadata: Optional[Mapping[str, str]]) -> Dict[str, str]:
    return {f"metadata[{name}]": value for name, value in (metadata or {}).items()}


def job_fields(answer: Any) -> Mapping[str, Any]:
    """Checks the description of a job."""
    if not isinstance(answer, dict) or answer.get("object") != "fine_tuning.job":
        raise MaaSError("the answer does not describe a job; check that it is a qing service")
    return answer


def page_path(path: str, query: Mapping[str, str], after: Optional[str]) -> str:
    """The path of the page of a list that follows the element with the id ``after``."""
    return f"{path}?{urlencode({'limit': str(_PAGE), **query, **({} if after is None else {'after': after})})}"


def page_of(answer: Any) -> Tuple[List[Dict[str, Any]], Optional[str]]:
    """The elements of a page, and the id after which the next one begins; None at the end of the list."""
    if not isinstance(answer, dict) or not isinstance(answer.get("data"), list):
        raise MaaSError("the answer has no list; check that it is a qing service")
    data = answer["data"]
    return data, data[-1]["id"] if answer.get("has_more") and data else None


def _pages(client: "MaaSClient", path: str, query: Mapping[str, str]) -> Iterator[Dict[str, Any]]:
    after: Optional[str] = None
    while True:
        elements, after = page_of(client.request("GET", page_path(path, query, after)))
        yield from elements
        if after is None:
            return
