"""The errors of the client. MaaSError is the base class of all."""

from __future__ import annotations

import builtins
from typing import Dict, Optional, Type


class MaaSError(Exception):
    """The service or the connection to it failed. ``status`` is None when there was no response. ``index`` is the place of the
    text or picture that was refused, in the caller's list or as a row of the table; None when it is not about one of them."""

    def __init__(
        self,
        message: str,
        *,
        status: Optional[int] = None,
        code: Optional[str] = None,
        retry_after: Optional[float] = None,
        index: Optional[int] = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.retry_after = retry_after
        self.index = index


class AuthenticationError(MaaSError):
    """401 or 403: the API key is missing, wrong or lacks the scope."""


class NotFoundError(MaaSError):
    """404: there is no such object, for example no such file or job, or no such route."""


class ModelNotFoundError(NotFoundError):
    """404: there is no such model, or no such version of it."""


class InvalidRequestError(MaaSError):
    """Another 4xx: the request is malformed or over a limit; the message names the field."""


class RateLimitError(MaaSError):
    """429 after all retries."""


class ServiceUnavailableError(MaaSError):
    """A 503 after all retries, or another 5xx: the service is loading, full, stopping or broken."""


class MaaSConnectionError(MaaSError, builtins.ConnectionError):
    """The service cannot be reached."""


class MaaSTimeoutError(MaaSError, builtins.TimeoutError):
    """The service did not answer in time."""


_BY_STATUS: Dict[int, Type[MaaSError]] = {
    401: AuthenticationError,
    403: AuthenticationError,
    404: NotFoundError,
    408: MaaSTimeoutError,
    429: RateLimitError,
    504: MaaSTimeoutError,
}
#: The codes of a 404 about a model.
_NO_MODEL = ("unknown_model", "unknown_version", "model_not_found")


def error_for(status: int, message: str, code: Optional[str], retry_after: Optional[float]) -> MaaSError:
    """Returns the exception for an error response."""
    kind = ModelNotFoundError if status == 404 and code in _NO_MODEL else _BY_STATUS.get(status)
    if kind is None:
        kind = ServiceUnavailableError if status >= 500 else InvalidRequestError if status >= 400 else MaaSError
    return kind(message, status=status, code=code, retry_after=retry_after)
