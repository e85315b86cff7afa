"""The connection to the service: address, key, timeouts and retries."""

from __future__ import annotations

import http.client
import json
import os
import random
import socket
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from datetime import timezone
from email.utils import parsedate_to_datetime
from typing import Any, Dict, List, Mapping, Optional, Union

from .errors import MaaSConnectionError, MaaSError, MaaSTimeoutError, error_for
from .feedback import Feedback
from .files import Files, Form
from .jobs import Jobs
from .model import Model

DEFAULT_ENDPOINT = "http://127.0.0.1:8080"
MAX_BATCH = 64
_RETRIED_STATUS = (429, 503)
_MAX_WAIT = 60.0
_LONGEST_TIMEOUT = 365 * 86400.0


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Makes a redirect an error, because it would send the key to another host."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


class MaaSClient:
    """A client of the service. It may be used from several threads.

    ``endpoint`` defaults to the environment variable MAAS_ENDPOINT, then to http://127.0.0.1:8080. White space around it
    is ignored. It is a ValueError when it is not an http(s) address or contains a user or a password. Keys go into
    ``api_key``, which no message shows. ``timeout`` is in seconds, at most a year, and bounds each wait for the service. A
    429, a 503 and a failed connection are retried up to ``max_retries`` times. The wait between retries is that of
    Retry-After, or else doubles each time. A Retry-After above a minute is not retried. ``ssl_context`` is for an https
    address whose certificate the system does not trust: ``ssl.create_default_context(cafile=...)``.
    """

    def __init__(
        self,
        api_key: Optional[str] = None,
        endpoint: Optional[str] = None,
        timeout: float = 30.0,
        max_retries: int = 3,
        batch_size: int = MAX_BATCH,
        ssl_context: Optional[ssl.SSLContext] = None,
    ) -> None:
        address = (endpoint or os.environ.get("MAAS_ENDPOINT") or DEFAULT_ENDPOINT).strip()
        host = _host_of(address)
        if api_key is not None and not (api_key.isascii() and api_key.isprintable() and " " not in api_key):
            raise ValueError("api_key: contains spaces or characters that are not printable ASCII; copy it again")
        if not 0 < timeout <= _LONGEST_TIMEOUT:
            raise ValueError(f"timeout {timeout}: must be a number of seconds above 0, at most {_LONGEST_TIMEOUT:.0f}")
        if max_retries < 0:
            raise ValueError(f"max_retries {max_retries}: must not be negative")
        if batch_size < 1:
            raise ValueError(f"batch_size {batch_size}: must be at least 1")
        self.endpoint = address.rstrip("/")
        self.timeout = timeout
        self.max_retries = max_retries
        self.batch_size = batch_size
        self._api_key = api_key
        self.files = Files(self)
        self.jobs = Jobs(self)
        handlers: List[urllib.request.BaseHandler] = [_NoRedirect()]
        if ssl_context is not None:
            handlers.append(urllib.request.HTTPSHandler(context=ssl_context))
        if host in ("localhost", "127.0.0.1", "::1"):
            handlers.append(urllib.request.ProxyHandler({}))  # a proxy cannot reach this machine's loopback
        self._opener = urllib.request.build_opener(*handlers)

    def __repr__(self) -> str:  # without the key, because this appears in logs
        return f"MaaSClient(endpoint={self.endpoint!r})"

    def get_model(self, name: str) -> Model:
        """Returns the model of that name. ModelNotFoundError without such a model, AuthenticationError for a bad key."""
        if not isinstance(name, str) or not name:
            raise ValueError(f"get_model: name {name!r}; give a model's name such as 'emotion_analysis'")
        return Model(self, self._info(self.request("GET", "/v1/models/" + urllib.parse.quote(name, safe=""))), name)

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
        payload: Optional[Mapping[str, Any]] = None,
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
        payload: Optional[Mapping[str, Any]] = None,
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

    @staticmethod
    def _retried(error: MaaSError) -> bool:
        # A timeout is not retried, because the caller has already waited the given time. A request that will be refused for
        # more than _MAX_WAIT is not retried either, for example after a day's quota is used up.
        if (error.retry_after or 0) > _MAX_WAIT:
            return False
        return error.status in _RETRIED_STATUS or isinstance(error, MaaSConnectionError)

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
        payload: Optional[Mapping[str, Any]],
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
            body = json.dumps(payload, ensure_ascii=False).encode("utf-8")
            headers["Content-Type"] = "application/json"
        if self._api_key:
            headers["Authorization"] = f"Bearer {self._api_key}"
        if request_id:
            headers["X-Request-Id"] = request_id
        request = urllib.request.Request(self.endpoint + path, data=body, headers=headers, method=method)
        try:
            with self._opener.open(request, timeout=self.timeout) as response:
                return bytes(response.read())
        except urllib.error.HTTPError as error:
            with error:
                raise self._service_error(error) from None
        except (socket.timeout, TimeoutError) as error:
            raise self._timed_out() from error
        except urllib.error.URLError as error:
            if isinstance(error.reason, (socket.timeout, TimeoutError)):
                raise self._timed_out() from error
            raise self._unreachable(error.reason) from error
        except (http.client.HTTPException, ConnectionError, OSError) as error:
            raise self._unreachable(repr(error)) from error

    def _decode(self, body: bytes) -> Any:
        try:
            return json.loads(body.decode("utf-8"))
        except ValueError as error:
            raise MaaSError(f"{self.endpoint}: the answer is not JSON; check that it is a qing service") from error

    def _service_error(self, error: urllib.error.HTTPError) -> MaaSError:
        message, code = f"HTTP {error.code}", None
        try:
            answer = json.loads(error.read(65536).decode("utf-8"))
            inner = answer.get("error", message)
            if isinstance(inner, dict):  # the form of OpenAI's routes
                message, code = str(inner.get("message", message)), inner.get("code")
            else:
                message, code = str(inner), answer.get("code")
        except (ValueError, AttributeError, OSError, http.client.HTTPException):
            pass  # the body is not the service's, for example a proxy's, so only the status is known
        return error_for(error.code, f"{message} (HTTP {error.code})", code, _seconds(error.headers.get("Retry-After")))

    def _timed_out(self) -> MaaSTimeoutError:
        return MaaSTimeoutError(f"{self.endpoint}: no answer in {self.timeout} s; raise timeout= or send fewer texts")

    def _unreachable(self, reason: Any) -> MaaSConnectionError:
        return MaaSConnectionError(f"{self.endpoint}: cannot be reached ({reason}); start the service, "
                                   "or set its address with endpoint= or MAAS_ENDPOINT")


def _host_of(address: str) -> str:
    """Returns the host of an http(s) address. A ValueError never repeats the address, because it may contain a password."""
    # This check precedes parsing: with a "/", "?" or "#" in the password the user would be parsed as the host.
    if "@" in address:
        raise ValueError("endpoint: contains a user or a password, which would appear in logs; give the key as api_key")
    remedy = f"give an http(s) address such as {DEFAULT_ENDPOINT}"
    try:
        parts = urllib.parse.urlsplit(address)
        host, port = parts.hostname, parts.port  # reading the port checks it
    except ValueError:
        raise ValueError(f"endpoint: its host or port is malformed; {remedy}") from None
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"endpoint: begins with neither http:// nor https://; {remedy}")
    if not host or port == 0:
        raise ValueError(f"endpoint: has no host, or port 0; {remedy}")
    if "?" in address or "#" in address:
        raise ValueError("endpoint: has a query or a fragment; leave it out, and give the key as api_key")
    if not (address.isascii() and address.isprintable() and " " not in address):
        raise ValueError(f"endpoint: contains spaces or characters that are not printable ASCII; {remedy}")
    return host


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
