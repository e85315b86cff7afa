"""The connections of the Python SDK: kept, shared, forked, proxied."""

import base64
import os
import signal
import socket
import threading
import time

import pytest
from test_sdk import client, failure, maas_sdk, model, service  # noqa: F401  the fixtures


@pytest.fixture
def keeping(service):  # noqa: F811
    service.keeps = True
    return service


def test_requests_share_a_connection(keeping, client):  # noqa: F811
    model = client.get_model("mood")  # noqa: F811
    for _ in range(5):
        assert model.predict("ab") == "positive"
    keeping.failures = [failure(422)]
    with pytest.raises(maas_sdk.InvalidRequestError):
        model.predict("ab")
    model.predict("ab")
    assert len(keeping.ports) == 8 and len(set(keeping.ports)) == 1


def test_batches_are_sent_at_the_same_time_on_a_connection_each(keeping):
    arrived, together = threading.Barrier(3), []

    class Slow(list):  # the script of failures: consulted once a request
        def __bool__(self):
            try:
                arrived.wait(10)
                together.append(True)
            except threading.BrokenBarrierError:
                pass
            return False

    with maas_sdk.MaaSClient(endpoint=keeping.endpoint, batch_size=2, concurrency=3) as client:  # noqa: F811
        model = client.get_model("mood")  # noqa: F811
        keeping.failures = Slow()
        model.predict(["a"] * 12)
        assert len(together) == 6 and len(set(keeping.ports)) == 3


def test_a_connection_that_the_service_closed_is_replaced(keeping, client):  # noqa: F811
    model = client.get_model("mood")  # noqa: F811
    client.max_retries = 0
    keeping.failures = ["drop"]
    assert model.predict("ab") == "positive"  # it was closed while the request was on its way
    idle = client._connections._idle[0][0].sock
    idle.shutdown(socket.SHUT_RD)  # as when its end arrives while it is idle
    assert model.predict("ab") == "positive"
    assert len(set(keeping.ports)) == 3


def test_a_file_is_not_sent_twice(keeping, client):  # noqa: F811
    client.get_model("mood")
    keeping.failures = ["drop"]
    with pytest.raises(maas_sdk.MaaSConnectionError):
        client.files.create(file=("a.tsv", b"label\ttext\n"), purpose="fine-tune")
    assert sum(path == "/v1/files" for _, path, *_ in keeping.requests) == 1


def test_a_forked_process_opens_its_own_connections(keeping, client):  # noqa: F811
    client.batch_size = 2
    model = client.get_model("mood")  # noqa: F811
    texts = ["a", "ab", "abc"] * 4
    expected = model.predict(texts)
    before = set(keeping.ports)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            signal.alarm(10)
            code = 0 if model.predict(texts) == expected else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert set(keeping.ports) - before
    assert model.predict(texts) == expected  # the parent's still work


def test_a_closed_client_opens_them_again(keeping):
    with maas_sdk.MaaSClient(endpoint=keeping.endpoint, batch_size=1) as client:  # noqa: F811
        model = client.get_model("mood")  # noqa: F811
        model.predict(["a", "ab"])
        threads = client._threads()._threads.copy()
    assert not client._connections._idle
    deadline = time.monotonic() + 10
    while any(thread.is_alive() for thread in threads):
        assert time.monotonic() < deadline, "threads are left"
        time.sleep(0.01)
    assert model.predict(["a", "ab"]) == ["neutral", "positive"]


class FakeProxy(threading.Thread):
    """Answers one request and keeps its first lines."""

    def __init__(self, answer):
        super().__init__(daemon=True)
        self.socket, self.answer, self.head = socket.create_server(("127.0.0.1", 0)), answer, b""
        self.address = "127.0.0.1:%d" % self.socket.getsockname()[1]

    def run(self):
        connection, _ = self.socket.accept()
        with connection:
            while b"\r\n\r\n" not in self.head:
                self.head += connection.recv(4096)
            connection.sendall(self.answer)
        self.socket.close()


@pytest.fixture
def without_proxies(monkeypatch):
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.mark.usefixtures("without_proxies")
def test_a_proxy_of_the_environment_is_used_with_its_password(monkeypatch):
    body = b'{"name":"mood","version":"2"}'
    proxy = FakeProxy(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    proxy.start()
    monkeypatch.setenv("http_proxy", f"http://user:p%40ss@{proxy.address}")
    assert maas_sdk.MaaSClient(endpoint="http://service.test:81/base").get_model("mood").version == "2"
    lines = proxy.head.decode().split("\r\n")
    assert lines[0] == "GET http://service.test:81/base/v1/models/mood HTTP/1.1" and "Host: service.test:81" in lines
    assert "Proxy-Authorization: Basic " + base64.b64encode(b"user:p@ss").decode() in lines
    monkeypatch.setenv("no_proxy", "service.test")
    assert maas_sdk.MaaSClient(endpoint="http://service.test:81")._connections._proxy is None


@pytest.mark.usefixtures("without_proxies")
def test_a_proxy_tunnels_tls_and_never_sees_the_key(monkeypatch):
    proxy = FakeProxy(b"HTTP/1.1 403 Forbidden\r\n\r\n")
    proxy.start()
    monkeypatch.setenv("https_proxy", f"user:secret@{proxy.address}")
    with pytest.raises(maas_sdk.MaaSConnectionError) as caught:
        maas_sdk.MaaSClient("the_key", "https://service.test", max_retries=0).get_model("mood")
    assert "403" in str(caught.value) and "secret" not in str(caught.value)
    head = proxy.head.decode()
    assert head.startswith("CONNECT service.test:443 ") and "the_key" not in head and "Proxy-Authorization: Basic" in head
    monkeypatch.setenv("https_proxy", "socks5://user:secret@127.0.0.1:9")
    with pytest.raises(ValueError, match="https_proxy") as caught:
        maas_sdk.MaaSClient(endpoint="https://service.test")
    assert "secret" not in str(caught.value)
