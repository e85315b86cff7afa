"""What the Python SDK says of wrong arguments, addresses and answers: the kind of error, its remedy, and what is repeated."""

import asyncio
import collections
import pathlib
import socket
import ssl
import threading

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from test_sdk import client, failure, maas_sdk, model, service, waits  # noqa: F401  the fixtures

MaaSClient, NotFoundError, ModelNotFoundError = maas_sdk.MaaSClient, maas_sdk.NotFoundError, maas_sdk.ModelNotFoundError


# --- addresses ---


@pytest.mark.parametrize("end", ["/v1", "/v1/", "//v1", "/", ""])
def test_an_address_may_end_as_openais_does(service, monkeypatch, end):  # noqa: F811
    assert MaaSClient(endpoint=service.endpoint + end).get_model("mood").predict("ab") == "positive"
    monkeypatch.setenv("MAAS_ENDPOINT", service.endpoint + end)
    assert MaaSClient().endpoint == service.endpoint
    assert asyncio.run(asynchronous_model(service.endpoint + end)).name == "mood"
    assert MaaSClient(endpoint="https://example.org/qing" + end).endpoint == "https://example.org/qing"
    assert MaaSClient(endpoint="https://example.org/v11").endpoint == "https://example.org/v11"
    assert MaaSClient(endpoint="http://v1").endpoint == "http://v1"  # a host


async def asynchronous_model(endpoint):
    async with maas_sdk.AsyncMaaSClient(endpoint=endpoint) as made:
        return await made.get_model("mood")


# --- 404 ---


@pytest.mark.parametrize("code", ["unknown_model", "unknown_version", "model_not_found"])
def test_no_such_model(service, client, code):  # noqa: F811
    service.failures = [failure(404, code)]
    with pytest.raises(ModelNotFoundError, match="why 404") as caught:
        client.get_model("mood")
    assert isinstance(caught.value, NotFoundError) and caught.value.code == code


@pytest.mark.parametrize("code", ["job_not_found", "file_not_found", "unknown_request", "no_state", "not_found", "event_not_found"])
def test_what_else_is_not_there_is_no_model(service, client, code):  # noqa: F811
    service.failures = [failure(404, code)]
    with pytest.raises(NotFoundError, match="why 404") as caught:
        client.jobs.retrieve("x")
    assert type(caught.value) is NotFoundError and caught.value.code == code


@pytest.mark.parametrize("answer", [failure(404, "unknown_route"), (404, [], b"<html>nginx</html>"), (404, [], b"")])
def test_an_address_without_a_service_is_no_missing_model(service, client, answer):  # noqa: F811
    service.failures = [answer]
    with pytest.raises(NotFoundError, match="check that endpoint= is the address of a qing service") as caught:
        client.get_model("mood")
    assert type(caught.value) is NotFoundError and caught.value.status == 404


# --- what is repeated, and for how long ---


def test_a_model_that_could_not_be_loaded_is_not_asked_for_again(service, client, waits):  # noqa: F811
    service.failures = [failure(503, "not_loaded", [("Retry-After", "1")])]
    with pytest.raises(maas_sdk.ServiceUnavailableError, match="why 503") as caught:
        client.get_model("mood")
    assert caught.value.code == "not_loaded" and waits == [] and len(service.requests) == 1
    service.failures = [failure(503, "loading", [("Retry-After", "1")])]
    assert client.get_model("mood").name == "mood" and waits == [1.0]


def test_a_wait_is_at_most_the_timeout(service, waits):  # noqa: F811
    service.failures = [failure(429, headers=[("Retry-After", "58")])]
    with pytest.raises(maas_sdk.RateLimitError) as caught:
        MaaSClient(endpoint=service.endpoint).get_model("mood")
    assert caught.value.retry_after == 58 and waits == []
    service.failures = [failure(429, headers=[("Retry-After", "58")])]
    assert MaaSClient(endpoint=service.endpoint, timeout=60).get_model("mood").name == "mood" and waits == [58.0]

    async def use():
        async with maas_sdk.AsyncMaaSClient(endpoint=service.endpoint) as made:
            await made.get_model("mood")

    service.failures = [failure(429, headers=[("Retry-After", "58")])]
    with pytest.raises(maas_sdk.RateLimitError):
        asyncio.run(use())


# --- connections ---


class Peer:
    """Accepts connections, reads something and says ``answer``, or resets them if it is None. Counts the connections."""

    def __init__(self, answer):
        self.answer, self.count = answer, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                self.count += 1
                connection.settimeout(10)
                if self.answer is None:  # data that is not read makes the end a reset
                    connection.recv(1)
                    continue
                connection.recv(4096)
                connection.sendall(self.answer)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *exception):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()


def test_https_to_a_port_without_tls_says_so_at_once(waits):  # noqa: F811
    with Peer(b"HTTP/1.1 400 Bad Request\r\n\r\n") as peer:
        with pytest.raises(maas_sdk.MaaSConnectionError, match="does not speak TLS.*http://") as caught:
            MaaSClient(endpoint=f"https://127.0.0.1:{peer.port}").get_model("mood")
        assert "start the service" not in str(caught.value) and peer.count == 1 and waits == []


@pytest.mark.parametrize("answer", [None, b"", b"\x15\x03\x01\x00\x02\x02\x28"])
def test_http_to_a_port_with_tls_says_what_it_may_be(waits, answer):  # noqa: F811
    """Such a port closes the connection, and may send an alert before."""
    with Peer(answer) as peer:
        with pytest.raises(maas_sdk.MaaSConnectionError, match="without an answer of HTTP.*https://") as caught:
            MaaSClient(endpoint=f"http://127.0.0.1:{peer.port}").get_model("mood")
        assert "start the service" not in str(caught.value)


# --- arguments ---


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        ({"timeout": "5"}, r"timeout '5': .*number of seconds"),
        ({"timeout": None}, r"timeout None: .*number of seconds"),
        ({"timeout": True}, r"timeout True: .*number of seconds"),
        ({"max_retries": "3"}, r"max_retries '3': .*whole number"),
        ({"batch_size": 2.5}, r"batch_size 2.5: .*whole number"),
        ({"concurrency": True}, r"concurrency True: .*whole number"),
        ({"api_key": b"key"}, r"api_key: is bytes; give a str"),
        ({"endpoint": pathlib.Path("http:/a")}, r"endpoint: is PosixPath; give a str"),
        ({"ssl_context": "ca.pem"}, r"ssl_context: is str; give ssl.create_default_context\(cafile=...\)"),
    ],
)
@pytest.mark.parametrize("kind", [MaaSClient, maas_sdk.AsyncMaaSClient])
def test_arguments_of_another_type_are_told_the_remedy(kind, arguments, remedy):
    with pytest.raises(TypeError, match=remedy) as caught:
        kind(**arguments)
    assert "key" not in str(caught.value).replace("api_key", "")


def test_numbers_of_other_libraries_are_numbers(service):  # noqa: F811
    context = ssl.create_default_context()
    made = MaaSClient(endpoint=service.endpoint, timeout=np.float32(5), batch_size=np.int64(2), ssl_context=context)
    assert made.get_model("mood").predict(["ab"] * 5) == ["positive"] * 5


def test_a_wait_for_a_job_takes_numbers(service, client):  # noqa: F811
    job = {"id": "j", "object": "fine_tuning.job", "status": "queued", "model": "scratch"}
    service.failures = [(200, [], job)]
    made = client.jobs.retrieve("j")
    for wrong in ({"timeout": "5"}, {"interval": None}):
        with pytest.raises(TypeError, match="number of seconds"):
            made.wait(**wrong)


@pytest.mark.parametrize(
    ("texts", "remedy", "not_told"),
    [
        (pd.Series(["ab", None]), r"texts.dropna\(\), or call predict_frame", "isinstance"),
        (pl.Series(["ab", None]), r"texts.drop_nulls\(\), or call predict_frame", "dropna"),
        (pa.array(["ab", None]), r"texts.drop_null\(\)", "predict_frame"),
        (["ab", None], r"\[text for text in texts if isinstance\(text, str\)\]", "dropna"),
        (np.array(["ab", float("nan")], dtype=object), r"\[text for text in texts if isinstance\(text, str\)\]", "dropna"),
        (iter(["ab", None]), r"\[text for text in texts if isinstance\(text, str\)\]", "dropna"),
    ],
    ids=["pandas", "polars", "pyarrow", "list", "numpy", "iterator"],
)
def test_the_remedy_for_a_missing_text_is_one_of_its_library(model, texts, remedy, not_told):  # noqa: F811
    with pytest.raises(TypeError, match=remedy) as caught:
        model.predict(texts)
    assert not_told not in str(caught.value)
    with pytest.raises(TypeError, match=r"texts\[1\]"):
        list(model.stream(texts if not hasattr(texts, "__next__") else ["a", None]))


def test_names_of_types_need_no_article(model):  # noqa: F811
    async def source():
        yield "ab"

    with pytest.raises(TypeError, match="texts are of the type async_generator, which"):
        model.predict(source())
    with pytest.raises(TypeError, match="texts are of the type OrderedDict;"):
        model.predict(collections.OrderedDict(a="ab"))
    with pytest.raises(TypeError, match="'stars' has a value of the type int in row 0"):
        model.predict_frame(pd.DataFrame({"stars": [5]}), text="stars")
