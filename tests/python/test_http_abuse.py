"""HTTP abuses that every public server meets: raw sockets to a running `qing serve`, case by case (http_cases.py)."""

import socket
import time

import pytest

from http_cases import CASES, CLOSES, GOES_ON, get, post


@pytest.fixture(scope="module")
def port(qing, models_root):
    from conftest import RunningServer

    server = RunningServer(qing.binary, "--port", 0, "--models", models_root, "--body-bytes", 65536, "--request-time", 0.6,
                           "--idle-time", 1.2)  # fmt: skip
    yield int(server.endpoint.rpartition(":")[2])
    code, log = server.stop()
    assert code == 0 and '"level":"error"' not in log, log[-2000:]


class Connection:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.data = b""

    def send(self, pieces, pause=0.0):
        for piece in [pieces] if isinstance(pieces, bytes) else pieces:
            time.sleep(pause)
            try:
                self.socket.sendall(piece)
            except (BrokenPipeError, ConnectionResetError):
                return  # refused before its end

    def more(self):
        """Returns False at the end of the stream."""
        try:
            part = self.socket.recv(65536)
        except ConnectionResetError:
            part = b""
        self.data += part
        return part != b""

    def answer(self, head=False):
        """Returns status, header and body of the next answer, or None if the connection is closed."""
        while b"\r\n\r\n" not in self.data:
            if not self.more():
                assert self.data == b"", f"half an answer: {self.data[:200]}"
                return None
        header, _, self.data = self.data.partition(b"\r\n\r\n")
        lines = header.decode("ascii").split("\r\n")
        version, status, _ = lines[0].split(" ", 2)
        assert version in ("HTTP/1.1", "HTTP/1.0")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        length = 0 if head or status == "100" else int(fields["content-length"])
        while len(self.data) < length:
            assert self.more(), "half a body"
        body, self.data = self.data[:length], self.data[length:]
        return int(status), fields, body

    def closed(self):
        """Returns whether the stream ends without more bytes."""
        while self.more():
            pass
        return self.data == b""


def still_well(port):
    connection = Connection(port)
    connection.send(get())
    answer = connection.answer()
    connection.socket.close()
    return answer is not None and answer[0] == 200


def test_there_are_enough_and_no_two_alike():
    assert len(CASES) >= 80 and len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(port, case):
    connection = Connection(port)
    connection.send(case.send, case.pause)
    head = isinstance(case.send, bytes) and case.send.startswith(b"HEAD")
    if case.then is not None and case.name != "size beyond 64 bits" and case.name != "asterisk":
        for status in case.statuses:
            answer = connection.answer(head)
            assert answer is not None, f"closed, {status} is due by {case.due}"
            assert answer[0] == status, f"{answer}, {status} is due by {case.due}"
            if status >= 400 and not head:
                assert answer[2].startswith(b'{"error":"') and b'"code":"' in answer[2]
    else:
        answer = connection.answer()
        assert answer is not None and answer[0] in case.statuses, f"{answer}, one of {case.statuses} is due"
    if case.then == CLOSES:
        if case.statuses and case.statuses[-1] >= 400:
            assert answer[1].get("connection") == "close"
        assert connection.closed(), "something follows"
    elif case.then == GOES_ON:
        connection.send(get(b"/v1/models"))
        answer = connection.answer()
        assert answer is not None and answer[0] == 200 and b"emotion_analysis" in answer[2]
        assert connection.data == b""
    connection.socket.close()
    assert still_well(port)


@pytest.mark.parametrize("request_bytes", [get(), post()], ids=["get", "post"])
def test_disconnecting_at_any_byte(port, request_bytes):
    for end in range(0, len(request_bytes) + 1, 7):
        connection = Connection(port)
        connection.send(request_bytes[:end])
        if end % 2 == 0:  # reset the connection instead of closing it
            connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.socket.close()
    assert still_well(port)


def test_reading_slowly(port):
    """Unread answers must not delay other clients."""
    slow = Connection(port)
    slow.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
    slow.socket.settimeout(0.2)
    try:
        for _ in range(200):
            slow.socket.sendall(get(b"/openapi.json") * 10)
    except (TimeoutError, ConnectionError):
        pass
    began = time.monotonic()
    assert still_well(port)
    assert time.monotonic() - began < 2
    slow.socket.close()
