"""TLS: supported versions, replacement of certificates while the server runs, and clients without TLS."""

import asyncio
import contextlib
import json
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
import urllib.parse

import pytest
from maas_sdk import MaaSClient, MaaSConnectionError
from maas_sdk.aio import AsyncMaaSClient


def make_certificate(folder, name):
    """Makes a self-signed certificate for 127.0.0.1 with `name` in its subject."""
    folder.mkdir(exist_ok=True)
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
               "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", folder / "key.pem",
               "-out", folder / "chain.pem"]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    return folder


@pytest.fixture
def files(tmp_path):
    return make_certificate(tmp_path / "tls", "first")


@pytest.fixture
def server(files, models_root, serve):
    running = serve("--models", models_root, "--certificate", files / "chain.pem", "--tls-key", files / "key.pem",
                    "--request-time", 1)  # fmt: skip
    assert running.endpoint.startswith("https://127.0.0.1:")
    return running


def address_of(server):
    parts = urllib.parse.urlsplit(server.endpoint)
    return parts.hostname, parts.port


def unverified(lowest=ssl.TLSVersion.TLSv1_2, highest=ssl.TLSVersion.MAXIMUM_SUPPORTED):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("DEFAULT:@SECLEVEL=0")  # the client accepts any version, so the server must refuse
    context.minimum_version, context.maximum_version = lowest, highest
    return context


def connect(server, context):
    return context.wrap_socket(socket.create_connection(address_of(server), timeout=10), server_hostname="127.0.0.1")


def subject(server):
    """Returns the name in the certificate of a new connection."""
    with connect(server, unverified()) as connection:
        shown = ssl.DER_cert_to_PEM_cert(connection.getpeercert(binary_form=True))
    return subprocess.run(["openssl", "x509", "-noout", "-subject"], input=shown, capture_output=True, text=True,
                          check=True).stdout.split()[-1]  # fmt: skip


def get(connection, path="/health/ready"):
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    return connection.recv(4096).split(b"\r\n")[0]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_speaks_tls_1_2_and_1_3(server, version):
    with connect(server, unverified(version, version)) as connection:
        assert connection.version() == {771: "TLSv1.2", 772: "TLSv1.3"}[version]
        assert get(connection) == b"HTTP/1.1 200 OK"
        assert get(connection) == b"HTTP/1.1 200 OK"  # kept alive


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_refuses_older_versions(server, version):
    with pytest.warns(DeprecationWarning):
        context = unverified(version, version)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        connect(server, context)
    with connect(server, unverified()) as connection:
        assert get(connection) == b"HTTP/1.1 200 OK"


def test_both_python_clients_check_the_certificate(server, files):
    trusting = ssl.create_default_context(cafile=files / "chain.pem")
    texts = ["I love this film", "我讨厌这个手机"]
    client = MaaSClient(endpoint=server.endpoint, ssl_context=trusting)
    assert client.get_model("emotion_analysis").predict(texts) == ["positive", "negative"]
    with pytest.raises(MaaSConnectionError, match=r"its certificate is refused \(self.signed certificate\); .*ssl_context=") as caught:
        MaaSClient(endpoint=server.endpoint).get_model("emotion_analysis")
    assert "start the service" not in str(caught.value)
    with pytest.raises(MaaSConnectionError, match="mismatch.*a name that the certificate has"):
        other = server.endpoint.replace("127.0.0.1", "localhost")
        MaaSClient(endpoint=other, ssl_context=trusting).get_model("emotion_analysis")
    with pytest.raises(MaaSConnectionError, match="write https://"):
        MaaSClient(endpoint=server.endpoint.replace("https", "http"), max_retries=0).get_model("emotion_analysis")

    async def ask():
        async with AsyncMaaSClient(endpoint=server.endpoint, ssl_context=trusting) as asynchronous:
            return await (await asynchronous.get_model("emotion_analysis")).predict(texts)

    assert asyncio.run(ask()) == ["positive", "negative"]


def test_plain_http_and_silence_are_cut(server):
    with socket.create_connection(address_of(server), timeout=10) as plain:
        plain.sendall(b"GET /health/ready HTTP/1.1\r\nHost: a\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert not plain.recv(4096).startswith(b"HTTP/1.1 200")
    with socket.create_connection(address_of(server), timeout=10) as silent:
        begun = time.monotonic()
        assert silent.recv(1) == b""  # no handshake within --request-time
        assert time.monotonic() - begun < 5
    with connect(server, unverified()) as connection:
        assert get(connection) == b"HTTP/1.1 200 OK"


def test_a_client_that_leaves_in_the_middle_harms_nobody(server):
    body = json.dumps({"texts": ["I love this film"] * 500}).encode()
    head = f"POST /v1/models/emotion_analysis/predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    for sent in (head.encode(), head.encode() + body[:100], head.encode() + body):
        connection = connect(server, unverified())
        connection.sendall(sent)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset, without a goodbye
        connection.close()
    with connect(server, unverified()) as connection:
        assert get(connection) == b"HTTP/1.1 200 OK"
    assert server.process.poll() is None


def test_close_notify_ends_the_work_for_a_client(server):
    """In TLS 1.2 close_notify ends both directions (RFC 5246, 7.2.1); in TLS 1.3 one (test_half_close.py)."""
    older = unverified(highest=ssl.TLSVersion.TLSv1_2)

    def request(texts):
        body = json.dumps({"texts": texts}).encode()
        return f"POST /v1/models/emotion_analysis/predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body

    def counted(what):
        with connect(server, unverified()) as connection:
            connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            text = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
        return f'qing_model_{what}_total{{model="emotion_analysis"}} 1\n' in text

    def wait_for(what):
        assert any(counted(what) or time.sleep(0.02) for _ in range(500)), what

    with connect(server, unverified()) as busy, connect(server, older) as leaving:
        busy.sendall(request(["a long text about nothing much " * 12] * 1000))
        wait_for("requests")
        leaving.sendall(request(["I love this film"]))
        leaving.setblocking(False)
        with contextlib.suppress(ssl.SSLWantReadError):
            leaving.unwrap()  # sends close_notify; the TCP connection stays open
        wait_for("cancelled")


def logged(server, event, count=1):
    for _ in range(200):
        lines = [json.loads(line) for line in server.logged().splitlines()]
        found = [line for line in lines if line["event"] == event]
        if len(found) >= count:
            return found
        time.sleep(0.02)
    raise AssertionError(f"{event} was not logged: {lines}")


def test_certificates_are_replaced_under_load(server, files, tmp_path):
    assert subject(server) == "first"
    ended, failures = threading.Event(), []

    def ask():
        try:
            with connect(server, unverified()) as connection:  # made before the change, so it keeps the old certificate
                while not ended.is_set():
                    if get(connection) != b"HTTP/1.1 200 OK":
                        failures.append("kept alive")
                    with connect(server, unverified()) as fresh:
                        if get(fresh) != b"HTTP/1.1 200 OK":
                            failures.append("fresh")
        except OSError as error:
            failures.append(repr(error))

    askers = [threading.Thread(target=ask, daemon=True) for _ in range(2)]
    for asker in askers:
        asker.start()
    for i in range(5):
        renewed = make_certificate(tmp_path / f"renewed{i}", f"renewed{i}")
        for name in ("chain.pem", "key.pem"):
            shutil.copy(renewed / name, files / name)
        server.process.send_signal(signal.SIGHUP)
        logged(server, "certificate_reloaded", i + 1)
        assert subject(server) == f"renewed{i}"
    ended.set()
    for asker in askers:
        asker.join()
    assert not failures, failures[:3]


@pytest.mark.parametrize("broken", ["chain.pem", "key.pem"])
def test_a_broken_certificate_replaces_nothing(server, files, tmp_path, broken):
    other = make_certificate(tmp_path / "other", "other")
    cases = [b"", b"-----BEGIN CERTIFICATE-----\nnonsense\n", (other / broken).read_bytes()]  # the last one belongs to another pair
    for i, content in enumerate(cases):
        (files / broken).write_bytes(content)
        server.process.send_signal(signal.SIGHUP)
        reason = logged(server, "certificate_not_reloaded", i + 1)[i]["reason"]
        assert str(files) in reason and "PRIVATE" not in reason
        assert subject(server) == "first"


def test_the_server_does_not_start_without_a_pair(files, models_root, qing):
    for arguments, said in [
        (["--certificate", files / "chain.pem"], "give the other one too"),
        (["--certificate", files / "none.pem", "--tls-key", files / "key.pem"], "none.pem"),
        (["--certificate", files / "chain.pem", "--tls-key", files / "chain.pem"], "private key"),
    ]:
        refused = qing("serve", "--port", 0, "--models", models_root, *arguments, check=False)
        assert refused.returncode == 1 and said in refused.stderr, refused.stderr
