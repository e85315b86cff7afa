"""Connections to the service, which stay open between requests."""

from __future__ import annotations

import base64
import collections
import http.client
import os
import selectors
import socket
import ssl
import time
import urllib.parse
import urllib.request
from typing import Deque, Dict, Iterable, Mapping, NamedTuple, Optional, Tuple, Union

#: Loopback names. A proxy cannot reach this machine's loopback.
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_LONGEST_IDLE = 30.0  # seconds; a router may forget a connection that is idle for longer
_MOST_OF_AN_ERROR = 65536
#: OpenSSL's reasons for an answer that is not TLS.
_NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "UNKNOWN_PROTOCOL")
#: What a connection that the service has closed in the meantime raises before the first byte of an answer.
_CLOSED = (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError, ConnectionAbortedError)


class Response(NamedTuple):
    """What the service answered. The body of an error ends after 64 kB."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


class _Proxy(NamedTuple):
    secure: bool
    host: str
    port: Optional[int]
    fields: Dict[str, str]  # for the proxy alone


class Connections:
    """Keeps as many connections as requests ran at the same time. Thread-safe. A forked process opens its own.

    A request on a kept connection that the service has closed is sent again on a new one. A body that is read from a file
    gets a new connection, because it is never sent twice.
    """

    def __init__(self, endpoint: str, ssl_context: Optional[ssl.SSLContext] = None) -> None:
        parts = urllib.parse.urlsplit(endpoint)
        self._secure = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port
        self._root = parts.path
        self._address = f"{parts.scheme}://{parts.netloc}"
        self._context = ssl_context
        self._proxy = _proxy_for(parts.scheme, self._host, parts.netloc)
        self._process = os.getpid()
        # The operations of a deque are atomic. A lock could be held by another thread at a fork.
        self._idle: Deque[Tuple[http.client.HTTPConnection, float]] = collections.deque()

    def close(self) -> None:
        """Closes the connections that no request uses."""
        while self._idle:
            try:
                self._idle.pop()[0].close()
            except IndexError:  # another thread took the last one
                return

    def __del__(self) -> None:
        if hasattr(self, "_idle"):
            self.close()

    def exchange(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: Union[bytes, Iterable[bytes], None],
        timeout: float,
    ) -> Response:
        """Sends a request and reads the answer. Errors are those of http.client, ssl and OSError."""
        kept = self._kept() if body is None or isinstance(body, bytes) else None
        if kept is not None:
            answer = self._ask(kept, method, path, headers, body, timeout, may_be_closed=True)
            if answer is not None:
                return answer
        answer = self._ask(self._opened(timeout), method, path, headers, body, timeout)
        assert answer is not None
        return answer

    def _kept(self) -> Optional[http.client.HTTPConnection]:
        if self._process != os.getpid():  # these sockets belong to the other process, too
            self._process = os.getpid()
            self._idle = collections.deque()
        while True:
            try:
                connection, since = self._idle.pop()
            except IndexError:
                return None
            if time.monotonic() - since < _LONGEST_IDLE and not _has_input(connection.sock):
                return connection
            connection.close()

    def _opened(self, timeout: float) -> http.client.HTTPConnection:
        proxy = self._proxy
        host, port = (self._host, self._port) if proxy is None else (proxy.host, proxy.port)
        connection: http.client.HTTPConnection
        if self._secure or (proxy is not None and proxy.secure):
            connection = http.client.HTTPSConnection(host, port, timeout=timeout, context=self._context)
        else:
            connection = http.client.HTTPConnection(host, port, timeout=timeout)
        if proxy is not None and self._secure:
            connection.set_tunnel(self._host, self._port, headers=proxy.fields)
        return connection

    def _ask(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: Union[bytes, Iterable[bytes], None],
        timeout: float,
        may_be_closed: bool = False,
    ) -> Optional[Response]:
        """None if the service had closed the connection, which `may_be_closed` allows: nothing was answered then."""
        target, fields = self._root + path, dict(headers)
        if self._proxy is not None and not self._secure:
            target = self._address + target
            fields.update(self._proxy.fields)
        if connection.sock is not None:
            connection.sock.settimeout(timeout)
        done = False
        try:
            try:
                connection.request(method, target, body=body, headers=fields)
                response = connection.getresponse()
            except _CLOSED:
                if may_be_closed:
                    return None
                raise
            data = response.read() if response.status < 400 else response.read(_MOST_OF_AN_ERROR)
            done = response.isclosed() and not response.will_close
            return Response(response.status, response.headers, data)
        finally:
            if done and connection.sock is not None:
                self._idle.append((connection, time.monotonic()))
            else:
                connection.close()


def is_lasting(error: Optional[BaseException]) -> bool:
    """Whether another attempt would end with the same error: TLS refuses the certificate or the protocol."""
    return isinstance(error, ssl.SSLCertVerificationError) or (
        isinstance(error, ssl.SSLError) and not isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError))
    )


def why_unreachable(error: BaseException) -> str:
    """What failed in :meth:`Connections.exchange`, and the remedy."""
    reason = str(error) or type(error).__name__
    if isinstance(error, ssl.SSLCertVerificationError):
        return (f"its certificate is refused ({error.verify_message}); give the file of its authority, "
                "ssl_context=ssl.create_default_context(cafile=...), or as endpoint= a name that the certificate has")
    if isinstance(error, ssl.SSLError) and error.reason in _NO_TLS:
        return f"does not speak TLS ({reason}); write http:// in endpoint= if that is meant"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed ({reason}); check the certificates and versions of both ends"
    if isinstance(error, (http.client.BadStatusLine, *_CLOSED)):
        return (f"closed the connection without an answer of HTTP ({reason}); write https:// in endpoint= if it speaks TLS, "
                "and look into the log of the service otherwise")
    return f"cannot be reached ({reason}); start the service, or set its address with endpoint= or MAAS_ENDPOINT"


def _has_input(sock: Optional[socket.socket]) -> bool:
    """Whether an idle connection has something to read, which is its end. True for one without a socket."""
    if sock is None:
        return True
    with selectors.DefaultSelector() as selector:
        selector.register(sock, selectors.EVENT_READ)
        return bool(selector.select(0))


def _proxy_for(scheme: str, host: str, netloc: str) -> Optional[_Proxy]:
    """The proxy that the environment or the system names for an address."""
    address = None if host in _LOOPBACK else urllib.request.getproxies().get(scheme)
    if not address or urllib.request.proxy_bypass(netloc):
        return None
    parts = urllib.parse.urlsplit(address if "://" in address else "http://" + address)
    try:
        name, port = parts.hostname, parts.port
    except ValueError:
        name, port = None, None
    if not name or parts.scheme not in ("http", "https"):  # the address may hold a password, so it is not repeated
        raise ValueError(f"{scheme}_proxy: not the address of an http(s) proxy; correct or unset it")
    fields = {}
    if parts.username is not None:
        user = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
        fields["Proxy-Authorization"] = "Basic " + base64.b64encode(user.encode("utf-8")).decode("ascii")
    return _Proxy(parts.scheme == "https", name, port, fields)
