"""The connection to the service: address, key, timeouts and retries."""

from __future__ import annotations

import http.client
import json
import os
import random
import socket
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timezone
from email.utils import parsedate_to_datetime
from typing import Any, Dict, List, Mapping, Optional, Union

from .arguments import DEFAULT_ENDPOINT, check_context, check_count, check_key, check_timeout, service_address
from .base_model import model_path
from .connections import Connections, Response, is_lasting, why_unreachable
from .errors import MaaSConnectionError, MaaSError, MaaSTimeoutError, error_for
from .feedback import Feedback
from .files import Files, Form
from .jobs import Jobs
from .model import Model

MAX_BATCH = 64
CONCURRENCY = 4
_RETRIED_STATUS = (429, 503)


#: What is sent as JSON; bytes are JSON already.
Payload = Union[Mapping[str, Any], bytes, None]


class MaaSClient:
    """A client of the service. It may be used from several threads.

    ``endpoint`` defaults to the environment variable MAAS_ENDPOINT, then to http://127.0.0.1:8080. White space around it
    and a "/v1" at its end are ignored. It is a ValueError when it is not an http(s) address or contains a user or a password.
    Keys go into ``api_key``, which no message shows. ``timeout`` is in seconds, at most a year, and bounds each wait for the
    service. A 429, a 503 and a failed connection are retried up to ``max_retries`` times. The wait between retries is that of
    Retry-After, or else doubles each time from a quarter of a second. A longer Retry-After than ``timeout``, a model that could
    not be loaded and a connection that TLS refuses are not retried. ``ssl_context`` is for an https address whose certificate
    the system does not trust: ``ssl.create_default_context(cafile=...)``. Up to ``concurrency`` batches of ``batch_size`` texts
    are sent at the same time. An argument of another type is a TypeError. Connections stay open between requests: use the
    client in ``with``, or call :meth:`close`, to end them before the client is garbage.
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
        address = service_address(endpoint or os.environ.get("MAAS_ENDPOINT") or DEFAULT_ENDPOINT)
        check_key(api_key)
        check_timeout(timeout)
        check_count("max_retries", max_retries, 0)
        check_count("batch_size", batch_size, 1)
        check_count("concurrency", concurrency, 1)
        check_context(ssl_context)
        self.endpoint = address
        self.timeout = float(timeout)
        self.max_retries = max_retries
        self.batch_size = batch_size
        self._api_key = api_key
        self.files = Files(self)
        self.jobs = Jobs(self)
        self.concurrency = concurrency
        self._connections = Connections(self.endpoint, ssl_context)
        self._pool: Optional[ThreadPoolExecutor] = None
        self._pool_process = 0
        self._starting = threading.Lock()

    def __enter__(self) -> "MaaSClient":
        return self

    def __exit__(self, *exception: Any) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections that no request uses, and cancels batches that were not sent. A later request opens them
        again."""
        if self._pool_process == os.getpid():  # the lock of another process may be held for ever
            with self._starting:
                pool, self._pool = self._pool, None
            if pool is not None:
                pool.shutdown(wait=False, cancel_futures=True)
        self._connections.close()

    def _threads(self) -> ThreadPoolExecutor:
        if self._pool_process != os.getpid():  # a forked process has no such threads, and the lock may be held for ever
            self._starting, self._pool, self._pool_process = threading.Lock(), None, os.getpid()
        with self._starting:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self.concurrency, thread_name_prefix="maas_sdk")
            return self._pool

    def __repr__(self) -> str:  # without the key, because this appears in logs
        return f"MaaSClient(endpoint={self.endpoint!r})"

    def get_model(self, name: str, version: Union[str, int, None] = None) -> Model:
        """Returns the model of that name. With ``version`` all its answers come from that version, which must be served;
        without, from the one that is active when a request arrives. ModelNotFoundError without such a model or version,
        AuthenticationError for a bad key."""
        return Model(self, self._info(self.request("GET", model_path(name, version))), name, version)

    def _info(self, answer: Any) -> Mapping[str, Any]:
        if not isinstance(answer, dict) or not isinstance(answer.get("name"), str):
            raise MaaSError(f"{self.endpoint}: the answer does not describe a model; check that it is a qing service")
        return answer

    def _infos(self, answer: Any) -> List[Mapping[str, Any]]:
        if not isinstance(answer, dict) or not isinstance(answer.get("models"), list):
            raise MaaSError(f"{self.endpoint}: the answer has no list of models; check that it is a qing service")
        return [self._info(info) for info in answer["models"]]

    def list_models(self) -> List[Model]:
        """Returns all models of the service."""
        return [Model(self, info) for info in self._infos(self.request("GET", "/v1/models"))]

    @property
    def feedback(self) -> Feedback:
        """Feedback on answers."""
        return Feedback(self)

    def request(
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
        return self._decode(self.request_bytes(method, path, payload, request_id, form=form))

    def request_bytes(
        self,
        method: str,
        path: str,
        payload: Payload = None,
        request_id: Optional[str] = None,
        *,
        form: Optional[Form] = None,
    ) -> bytes:
        """The same as :meth:`request`, and returns the bytes of the answer."""
        for attempt in range(self.max_retries + 1):
            try:
                return self._request_once(method, path, payload, request_id, form)
            except MaaSError as error:
                if self._lost(error, form) or not self._retried(error) or attempt == self.max_retries:
                    raise
                time.sleep(self._wait(attempt, error.retry_after))
        raise AssertionError("unreachable: the last attempt returns or raises")

    @staticmethod
    def _lost(error: MaaSError, form: Optional[Form]) -> bool:
        # The file of a form may be stored although there was no answer, so it is not sent again.
        return form is not None and error.status is None

    def _retried(self, error: MaaSError) -> bool:
        # A timeout is not retried, because the caller has already waited the given time. A request that will be refused for
        # longer than that is not retried either, for example after a day's quota is used up.
        if (error.retry_after or 0) > self.timeout or error.code == "not_loaded":
            return False
        if isinstance(error, MaaSConnectionError):
            return not is_lasting(error.__cause__)
        return error.status in _RETRIED_STATUS

    @staticmethod
    def _wait(attempt: int, retry_after: Optional[float]) -> float:
        if retry_after is not None:
            return retry_after
        # Jitter keeps clients that failed together from retrying together.
        return float(min(0.25 * 2**attempt, 8.0) * random.uniform(0.75, 1.25))

    def _request_once(
        self,
        method: str,
        path: str,
        payload: Payload,
        request_id: Optional[str] = None,
        form: Optional[Form] = None,
    ) -> bytes:
        headers: Dict[str, str] = {"Accept": "application/json", "User-Agent": "maas-sdk/0.1"}
        body: Union[bytes, Form, None] = None
        if form is not None:
            body = form
            headers["Content-Type"] = form.content_type
            headers["Content-Length"] = str(len(form))
        if payload is not None:
            body = payload if isinstance(payload, bytes) else json.dumps(payload, ensure_ascii=False).encode("utf-8")
            headers["Content-Type"] = "application/json"
        if self._api_key:
            headers["Authorization"] = f"Bearer {self._api_key}"
        if request_id:
            headers["X-Request-Id"] = request_id
        try:
            response = self._connections.exchange(method, path, headers, body, self.timeout)
        except (socket.timeout, TimeoutError) as error:
            raise self._timed_out() from error
        except (http.client.HTTPException, OSError) as error:
            raise MaaSConnectionError(f"{self.endpoint}: {why_unreachable(error)}") from error
        # A redirect is an error, too, because it would send the key to another host.
        if not 200 <= response.status < 300:
            raise self._service_error(response)
        return response.body

    def _decode(self, body: bytes) -> Any:
        try:
            return json.loads(body.decode("utf-8"))
        except ValueError as error:
            raise MaaSError(f"{self.endpoint}: the answer is not JSON; check that it is a qing service") from error

    @staticmethod
    def _service_error(response: Response) -> MaaSError:
        message, code = f"HTTP {response.status}", None
        try:
            answer = json.loads(response.body.decode("utf-8"))
            inner = answer.get("error", message)
            if isinstance(inner, dict):  # the form of OpenAI's routes
                message, code = str(inner.get("message", message)), inner.get("code")
            else:
                message, code = str(inner), answer.get("code")
        except (ValueError, AttributeError):
            pass  # the body is not the service's, for example a proxy's, so only the status is known
        told = message if message.startswith("HTTP") else f"{message} (HTTP {response.status})"
        if response.status == 404 and code in (None, "unknown_route"):
            told += f"; check that endpoint= is the address of a qing service, such as {DEFAULT_ENDPOINT}"
        return error_for(response.status, told, code, _seconds(response.headers.get("Retry-After")))

    def _timed_out(self) -> MaaSTimeoutError:
        return MaaSTimeoutError(f"{self.endpoint}: no answer in {self.timeout} s; raise timeout= or send fewer texts")


def _seconds(retry_after: Optional[str]) -> Optional[float]:
    """Parses a Retry-After header: seconds, or a date in one of HTTP's three forms (RFC 9110, 10.2.3)."""
    text = (retry_after or "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        date = parsedate_to_datetime(text)
        # The form of asctime() names no zone; HTTP's dates are all in UTC (RFC 9110, 5.6.7).
        date = date if date.tzinfo is not None else date.replace(tzinfo=timezone.utc)
        return max(0.0, date.timestamp() - time.time())
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
