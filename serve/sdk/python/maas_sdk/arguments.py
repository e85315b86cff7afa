"""Checks of the clients' arguments."""

from __future__ import annotations

import numbers
import ssl
import urllib.parse
from typing import Any, Optional

DEFAULT_ENDPOINT = "http://127.0.0.1:8080"
_LONGEST_TIMEOUT = 365 * 86400.0


def check_seconds(name: str, value: Any) -> None:
    """TypeError unless the value is a real number."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} {value!r}: must be a number of seconds, such as 30")


def check_timeout(timeout: Any) -> None:
    """TypeError for what is no number, ValueError for one that no socket takes."""
    check_seconds("timeout", timeout)
    if not 0 < timeout <= _LONGEST_TIMEOUT:
        raise ValueError(f"timeout {timeout}: must be a number of seconds above 0, at most {_LONGEST_TIMEOUT:.0f}")


def check_count(name: str, value: Any, least: int) -> None:
    """TypeError unless the value is a whole number, ValueError if it is below ``least``."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name} {value!r}: must be a whole number of at least {least}")
    if value < least:
        raise ValueError(f"{name} {value}: must be at least {least}")


def check_key(api_key: Optional[str]) -> None:
    """TypeError or ValueError for what is no key. They never repeat it."""
    if api_key is None:
        return
    _check_str("api_key", api_key)
    if not (api_key.isascii() and api_key.isprintable() and " " not in api_key):
        raise ValueError("api_key: contains spaces or characters that are not printable ASCII; copy it again")


def check_context(context: Any) -> None:
    """TypeError for what is no SSLContext."""
    if context is not None and not isinstance(context, ssl.SSLContext):
        raise TypeError(f"ssl_context: is {type(context).__name__}; give ssl.create_default_context(cafile=...)")


def service_address(endpoint: Any) -> str:
    """The address of a service without white space around it, without "/" at its end and without the "/v1" that OpenAI's
    clients have there. TypeError or ValueError for what is none. They never repeat it, because it may contain a password."""
    _check_str("endpoint", endpoint)
    address: str = endpoint.strip()
    _check_address(address)
    address = address.rstrip("/")
    if urllib.parse.urlsplit(address).path.endswith("/v1"):  # and not a host of this name
        address = address[:-3].rstrip("/")
    return address


def _check_str(name: str, value: Any) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{name}: is {type(value).__name__}; give a str")


def _check_address(address: str) -> None:
    """Checks an http(s) address."""
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
