"""Clients that end their sending direction after a request get their answers. Clients that have left are detected.

RFC 9112, 9.6: a half-closed connection does not mean that the client wants no response.
"""

import json
import re
import socket
import ssl
import threading
import time
import urllib.request

import pytest

from http_cases import BODY, chunked, get, post
from test_http_abuse import Connection
from test_tls import address_of, make_certificate, unverified

RESET = b"\1\0\0\0\0\0\0\0"  # struct linger: close() resets the connection
# Explanations with many steps take some tenths of a second.
LONG = json.dumps({"texts": [f"number {i} " + "I love this film but hate that phone " * 8 for i in range(24)], "explain": True}).encode()


@pytest.fixture(scope="module")
def server(qing, models_root):
    from conftest import RunningServer

    running = RunningServer(qing.binary, "--port", 0, "--models", models_root, "--request-time", 1, "--idle-time", 5, "--workers", 1)
    yield running
    code, log = running.stop()
    assert code == 0 and '"level":"error"' not in log, log[-2000:]


@pytest.fixture
def port(server):
    return address_of(server)[1]


def metric(server, name):
    with urllib.request.urlopen(server.endpoint + "/metrics", timeout=30) as answer:
        found = re.search(rf"^{re.escape(name)} (\d+)$", answer.read().decode(), re.MULTILINE)
    return int(found[1]) if found else 0


def half_close(port, request):
    connection = Connection(port)
    connection.send(request)
    connection.socket.shutdown(socket.SHUT_WR)
    return connection


@pytest.mark.parametrize("request_bytes", [get(b"/v1/models"), post(), post(b"Connection: close"), chunked(b"f\r\n" + BODY + b"\r\n0\r\n\r\n"),
                                           post(body=LONG)], ids=["get", "keep alive", "close", "chunked", "long"])  # fmt: skip
def test_a_whole_request_is_answered(port, request_bytes):
    for _ in range(5 if len(request_bytes) < 1000 else 1):
        connection = half_close(port, request_bytes)
        assert connection.answer()[0] == 200
        assert connection.closed()


def test_requests_in_a_row_are_answered(port):
    connection = half_close(port, post() * 5 + get() + post())
    assert [connection.answer()[0] for _ in range(7)] == [200] * 7
    assert connection.closed()


def test_requests_that_come_while_one_computes_are_answered(port):
    connection = Connection(port)
    connection.send(post(body=LONG))
    time.sleep(0.05)
    connection.send(get())
    connection.send(post())
    connection.socket.shutdown(socket.SHUT_WR)
    assert [connection.answer()[0] for _ in range(3)] == [200] * 3
    assert connection.closed()


def test_a_large_answer_to_a_slow_reader_arrives_whole(port):
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(10)
    connection.connect(("127.0.0.1", port))
    connection.sendall(get(b"/openapi.json") * 50)
    connection.shutdown(socket.SHUT_WR)
    time.sleep(0.3)
    data = b""
    while part := connection.recv(65536):
        data += part
    assert data.count(b"HTTP/1.1 200 OK") == 50 and data.endswith(b"}")


@pytest.mark.parametrize("request_bytes", [get()[:-2], post()[:-3], get() + post()[:-3], b""], ids=["header", "body", "second", "none"])
def test_an_incomplete_request_is_not_waited_for(port, request_bytes):
    began = time.monotonic()
    connection = half_close(port, request_bytes)
    if request_bytes.startswith(get()):
        assert connection.answer()[0] == 200
    assert connection.closed()
    assert time.monotonic() - began < 0.5, "waited for what cannot come"


def test_the_limit_of_the_answer_holds(port):
    connection = half_close(port, post(b"Request-Timeout: 0.05", body=LONG))
    assert connection.answer()[0] == 504
    assert connection.closed()


@pytest.mark.parametrize("ended_first", [False, True], ids=["reset", "end, then reset"])
def test_the_work_of_a_client_that_reset_is_dropped(server, port, ended_first):
    """The second request waits in the queue until the first is done. Its client has left by then."""
    before = metric(server, 'qing_model_cancelled_total{model="emotion_analysis"}')
    first = Connection(port)
    first.send(post(body=LONG))
    time.sleep(0.05)
    second = Connection(port)
    second.send(post(body=LONG))
    if ended_first:
        second.socket.shutdown(socket.SHUT_WR)
    time.sleep(0.1)
    second.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    second.socket.close()
    assert first.answer()[0] == 200
    deadline = time.monotonic() + 10
    while metric(server, 'qing_model_cancelled_total{model="emotion_analysis"}') == before:
        assert time.monotonic() < deadline, "computed for a client that has left"
        time.sleep(0.05)


def test_clients_that_leave_cost_no_connection(server, port):
    for i in range(60):
        connection = Connection(port)
        connection.send(post())
        if i % 2:
            connection.socket.shutdown(socket.SHUT_WR)
        if i % 3:
            connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        connection.socket.close()
    deadline = time.monotonic() + 10
    while metric(server, "qing_connections_open") > 1:
        assert time.monotonic() < deadline, "connections of clients that left stay open"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def secure(qing, models_root, tmp_path_factory):
    from conftest import RunningServer

    files = make_certificate(tmp_path_factory.mktemp("tls") / "files", "half")
    running = RunningServer(qing.binary, "--port", 0, "--models", models_root, "--certificate", files / "chain.pem",
                            "--tls-key", files / "key.pem")  # fmt: skip
    yield running
    assert running.stop()[0] == 0


@pytest.mark.parametrize("with_notice", [True, False], ids=["close_notify", "end of the stream"])
def test_a_whole_request_is_answered_below_tls(secure, with_notice):
    """RFC 8446, 6.1: close_notify ends only one direction."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = unverified(ssl.TLSVersion.TLSv1_3).wrap_bio(incoming, outgoing)
    raw = socket.create_connection(address_of(secure), timeout=60)

    def until_done(step):
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                if data := outgoing.read():
                    raw.sendall(data)
                part = raw.recv(65536)
                incoming.write(part) if part else incoming.write_eof()

    until_done(session.do_handshake)
    session.write(post(body=LONG) + get())
    raw.sendall(outgoing.read())
    if with_notice:
        with pytest.raises(ssl.SSLWantReadError):
            session.unwrap()
        raw.sendall(outgoing.read())
    else:
        raw.shutdown(socket.SHUT_WR)
    data = b""
    while data.count(b"HTTP/1.1 200 OK") < 2 or not data.endswith(b"}"):
        part = until_done(lambda: session.read(65536))
        assert part, f"the end after {data[:100]}"
        data += part
    raw.close()


def test_answers_end_when_the_server_stops(qing, models_root):
    from conftest import RunningServer

    server = RunningServer(qing.binary, "--port", 0, "--models", models_root)
    connection = half_close(address_of(server)[1], post(body=LONG))
    time.sleep(0.05)
    stopping = threading.Thread(target=server.stop, daemon=True)
    stopping.start()
    assert connection.answer()[0] == 200
    stopping.join(timeout=30)
    assert server.process.returncode == 0
