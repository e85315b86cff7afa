"""The Python SDK with a fake service of the standard library."""

import ast
import asyncio
import json
import pickle
import re
import socket
import sys
import threading
import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "serve" / "sdk" / "python"))

import maas_sdk  # noqa: E402
from maas_sdk import Emotion, MaaSClient  # noqa: E402

LABELS = ["negative", "neutral", "positive"]
REFUSED = "refused by the service"


class FakeService(ThreadingHTTPServer):
    """Labels a text by its length, after the scripted failures."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), FakeHandler)
        self.failures = []  # (status, headers, body), "drop" or "hang"
        self.requests = []  # (method, path, headers, payload)
        self.keeps = False  # connections open
        self.ports = []  # of the clients, one a request
        self.lives_for = None  # requests for predictions; later ones find no service

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class FakeHandler(BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def setup(self):
        super().setup()
        self.protocol_version = "HTTP/1.1" if self.server.keeps else "HTTP/1.0"

    def answer(self, status, body, headers=()):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def handle_any(self):
        payload = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if "multipart" not in self.headers.get("Content-Type", ""):
            payload = json.loads(payload or b"null")
        self.server.requests.append((self.command, self.path, dict(self.headers), payload))
        self.server.ports.append(self.client_address[1])
        if self.path.endswith("/predict") and self.server.lives_for is not None:
            self.server.lives_for -= 1
            if self.server.lives_for < 0:
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
                return None
        if self.server.failures:
            failure = self.server.failures.pop(0)
            if failure == "drop":
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
                return None
            if failure == "hang":
                time.sleep(1.0)
                return None
            return self.answer(failure[0], failure[2], failure[1])
        if self.path == "/v1/models/mood":
            return self.answer(200, {"name": "mood", "version": "2", "versions": ["1", "2"], "labels": LABELS})
        if self.path == "/v1/models/stable":  # an alias of an older version, with its own limits
            limits = {"texts": 3, "explained_texts": 2, "text_bytes": 1000, "body_bytes": 456}
            return self.answer(200, {"name": "mood", "version": "1", "versions": ["1", "2"], "labels": LABELS, "limits": limits})
        if self.path == "/v1/models/mood/versions/1":
            return self.answer(200, {"name": "mood", "version": "1", "versions": ["1", "2"], "labels": LABELS})
        versions = {"mood": "2", "stable": "1", "mood/versions/1": "1"}
        if self.path.endswith("/predict") and (version := versions.get(self.path[11:-8])):
            explain = payload.get("explain", False)
            if REFUSED in payload["texts"]:
                why = f"texts[{payload['texts'].index(REFUSED)}]: cannot be read"
                return self.answer(422, {"error": why, "code": "unacceptable_field"})
            predictions = [self.prediction(text, explain) for text in payload["texts"]]
            return self.answer(200, {"version": version, "predictions": predictions})
        return self.answer(404, {"error": "no model of this name", "code": "unknown_model"})

    do_GET = do_POST = handle_any

    @staticmethod
    def prediction(text, explain=False):
        label = LABELS[len(text) % 3]
        scores = {name: 0.5 if name == label else 0.25 for name in LABELS}
        prediction = {"label": label, "score": 0.5, "scores": scores, "truncated": False}
        if explain:
            span = {"begin": 0, "end": len(text), "text": text, "weight": 0.2}
            prediction["explanation"] = {"label": label, "score": 0.5, "baseline": 0.3, "gap": 0.0, "spans": [span]}
        return prediction


@pytest.fixture
def service():
    with FakeService() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def client(service):
    return MaaSClient(api_key="your_api_key", endpoint=service.endpoint)


@pytest.fixture
def model(client):
    return client.get_model("mood")


@pytest.fixture
def waits(monkeypatch):
    """Records the waits of the client between attempts, without sleeping."""
    slept = []
    monkeypatch.setattr("maas_sdk.client.time.sleep", slept.append)
    return slept


def failure(status, code="x", headers=()):
    return (status, headers, {"error": f"why {status}", "code": code})


def test_the_readme_example(service, model):
    texts = ["今天很开心", "糟"]
    lines = [f"文本：{text}，情感：{emotion}" for text, emotion in zip(texts, model.predict(texts))]
    assert lines == ["文本：今天很开心，情感：positive", "文本：糟，情感：neutral"]
    method, path, headers, payload = service.requests[-1]
    assert (method, path, payload) == ("POST", "/v1/models/mood/predict", {"texts": texts})
    assert headers["Authorization"] == "Bearer your_api_key"


def test_emotion_is_its_label(model):
    emotion = model.predict("ab")
    assert emotion == "positive" and isinstance(emotion, str) and type(emotion.label) is str
    assert emotion.score == 0.5 and emotion.scores == {"negative": 0.25, "neutral": 0.25, "positive": 0.5}
    assert emotion.truncated is False and {emotion: 1}["positive"] == 1
    copy = pickle.loads(pickle.dumps(emotion))
    assert isinstance(copy, Emotion) and copy == emotion and copy.scores == emotion.scores


def test_model_describes_itself(model):
    assert (model.name, model.version, model.versions, model.labels) == ("mood", "2", ["1", "2"], LABELS)


def test_long_lists_go_in_batches_and_come_back_in_order(service, model):
    texts = ["x" * (i * 7 % 11) for i in range(150)]
    emotions = model.predict(text for text in texts)
    assert emotions == [LABELS[len(text) % 3] for text in texts]
    assert sorted(len(request[3]["texts"]) for request in service.requests[1:]) == [22, 64, 64]


def test_an_alias_keeps_its_name_and_limits_are_respected(service, client):
    model = client.get_model("stable")
    assert (model.name, model.version) == ("stable", "1")

    def sent(texts, **options):
        del service.requests[:]
        assert model.predict(texts, **options) == [LABELS[len(text) % 3] for text in texts]
        assert {path for _, path, _, _ in service.requests} == {"/v1/models/stable/predict"}
        assert all(len(json.dumps(payload, ensure_ascii=False).encode()) <= 456 for *_, payload in service.requests)
        return sorted(len(payload["texts"]) for *_, payload in service.requests)

    assert sent(["a"] * 7) == [1, 3, 3]
    assert sent(["a"] * 5, explain=True) == [1, 2, 2]
    assert sent(["情" * 30, "b" * 90, "c" * 90, "\n" * 40]) == [2, 2]


def test_no_texts_send_no_request(service, model):
    assert model.predict([]) == []
    assert len(service.requests) == 1


def test_apredict(model):
    async def both():
        return await asyncio.gather(model.apredict("ab"), model.apredict(["a", "b"]))

    assert asyncio.run(both()) == ["positive", ["neutral", "neutral"]]


def test_texts_are_checked_before_any_is_sent(service, model):
    with pytest.raises(TypeError, match=r"texts\[70\] is int"):
        model.predict(["a"] * 70 + [3])
    with pytest.raises(ValueError, match=r"texts\[1\] holds a lone surrogate"):
        model.predict(["a", "\ud800"])
    with pytest.raises(TypeError, match="decode"):
        model.predict(b"bytes")
    assert len(service.requests) == 1


def test_unknown_model(client):
    with pytest.raises(maas_sdk.ModelNotFoundError) as caught:
        client.get_model("other")
    assert caught.value.status == 404 and caught.value.code == "unknown_model"


def test_a_name_cannot_leave_its_path(service, client):
    with pytest.raises(maas_sdk.ModelNotFoundError):
        client.get_model("../x?y")
    assert service.requests[-1][1] == "/v1/models/..%2Fx%3Fy"


@pytest.mark.parametrize(
    "status, kind",
    [
        (400, maas_sdk.InvalidRequestError),
        (401, maas_sdk.AuthenticationError),
        (403, maas_sdk.AuthenticationError),
        (413, maas_sdk.InvalidRequestError),
        (422, maas_sdk.InvalidRequestError),
        (500, maas_sdk.ServiceUnavailableError),
        (504, maas_sdk.MaaSTimeoutError),
    ],
)
def test_statuses_become_exceptions_without_retry(service, model, waits, status, kind):
    service.failures = [failure(status, "the_code")]
    with pytest.raises(kind, match=f"why {status}") as caught:
        model.predict("a")
    assert (caught.value.status, caught.value.code) == (status, "the_code")
    assert isinstance(caught.value, maas_sdk.MaaSError) and waits == [] and len(service.requests) == 2


def test_retries_honour_retry_after(service, model, waits):
    service.failures = [failure(429, headers=[("Retry-After", "7")]), failure(503, headers=[("Retry-After", "2")])]
    assert model.predict("ab") == "positive"
    assert waits == [7.0, 2.0]


def test_retry_after_may_be_a_date(service, model, waits):
    service.failures = [failure(503, headers=[("Retry-After", formatdate(time.time() + 20, usegmt=True))])]
    assert model.predict("ab") == "positive"
    assert 15 < waits[0] <= 20


def test_retries_back_off_and_end(service, model, waits):
    service.failures = [failure(503)] * 4
    with pytest.raises(maas_sdk.ServiceUnavailableError):
        model.predict("ab")
    assert len(waits) == 3 and waits[0] < waits[1] < waits[2]
    service.failures = [failure(429, headers=[("Retry-After", "1")])] * 4
    with pytest.raises(maas_sdk.RateLimitError) as caught:
        model.predict("ab")
    assert caught.value.retry_after == 1.0


def test_a_long_retry_after_fails_at_once(service, model, waits):
    service.failures = [failure(429, headers=[("Retry-After", "86400")])]
    with pytest.raises(maas_sdk.RateLimitError) as caught:
        model.predict("ab")
    assert caught.value.retry_after == 86400 and waits == []


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"models":[1]}', b'{"models":{}}'])
def test_a_list_of_other_values(service, client, body):
    service.failures = [(200, [], body)]
    with pytest.raises(maas_sdk.MaaSError, match="qing service"):
        client.list_models()


def test_a_dropped_connection_is_retried(service, model, waits):
    service.failures = ["drop", "drop"]
    assert model.predict("ab") == "positive"
    assert len(waits) == 2


def test_a_service_that_does_not_run(waits):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        client = MaaSClient("k", endpoint=f"http://127.0.0.1:{free.getsockname()[1]}", max_retries=1)
        with pytest.raises(ConnectionError, match="MAAS_ENDPOINT") as caught:
            client.get_model("mood")
    assert isinstance(caught.value, maas_sdk.MaaSConnectionError) and len(waits) == 1


def test_time_out(service):
    service.failures = ["hang"]
    with pytest.raises(TimeoutError, match="no answer in 0.1 s") as caught:
        MaaSClient("k", endpoint=service.endpoint, timeout=0.1).get_model("mood")
    assert isinstance(caught.value, maas_sdk.MaaSTimeoutError)


def test_a_redirect_does_not_carry_the_key_away(service, model):
    service.failures = [(302, [("Location", service.endpoint + "/elsewhere")], b"")]
    with pytest.raises(maas_sdk.MaaSError) as caught:
        model.predict("a")
    assert caught.value.status == 302 and len(service.requests) == 2


@pytest.mark.parametrize("body", [b"<html>", b"{}", b"[]", b'{"predictions":[]}', b'{"predictions":[1]}'])
def test_an_answer_that_is_not_the_services(service, model, body):
    service.failures = [(200, [], body)]
    with pytest.raises(maas_sdk.MaaSError):
        model.predict("a")


def test_it_needs_only_the_standard_library():
    folder = Path(maas_sdk.__file__).parent
    for file in folder.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names.append(node.module)
            for name in names:
                assert name.split(".")[0] in sys.stdlib_module_names, f"{file.name} imports {name}"
    project = (folder.parent / "pyproject.toml").read_text(encoding="utf-8")
    assert re.findall(r"^dependencies = (.*)$", project, re.MULTILINE) in ([], ["[]"])


def test_endpoint_from_the_environment(service, monkeypatch):
    monkeypatch.setenv("MAAS_ENDPOINT", service.endpoint + "/")
    assert MaaSClient(api_key="k").get_model("mood").name == "mood"
    monkeypatch.delenv("MAAS_ENDPOINT")
    assert MaaSClient().endpoint == "http://127.0.0.1:8080"


@pytest.mark.parametrize(
    "arguments",
    [
        {"endpoint": "localhost:8080"},
        {"endpoint": "ftp://x"},
        {"api_key": "a\r\nX: y"},
        {"api_key": "情"},
        {"timeout": 0},
        {"max_retries": -1},
        {"batch_size": 0},
        {"concurrency": 0},
    ],
)
def test_bad_arguments(arguments):
    with pytest.raises(ValueError):
        MaaSClient(**arguments)


def test_the_key_is_not_shown(client):
    assert "your_api_key" not in repr(client)


# --- explanations and asyncio ---


def test_explanations(service, model):
    emotion = model.predict("ab", explain=True)
    assert service.requests[-1][3] == {"texts": ["ab"], "explain": True}
    assert emotion.explanation.spans == [maas_sdk.Span(0, 2, "ab", 0.2)]
    assert emotion.explanation.score - emotion.explanation.baseline == pytest.approx(0.2)
    assert pickle.loads(pickle.dumps(emotion)).explanation == emotion.explanation
    assert emotion.explanation.encoder_end is None and emotion.explanation.ngram_end is None  # a service without these members
    assert model.predict("ab").explanation is None


def with_async_model(service, use, **options):
    async def run():
        async with maas_sdk.AsyncMaaSClient("k", endpoint=service.endpoint, **options) as client:
            return await use(await client.get_model("mood"))

    return asyncio.run(run())


def test_async_predicts_in_order(service):
    texts = ["a" * (i % 7) for i in range(50)]

    async def use(model):
        assert model.labels == LABELS and repr(model) == "AsyncModel('mood', version='2')"
        assert await model.predict("ab") == "positive"
        assert (await model.predict("ab", explain=True)).explanation.label == "positive"
        return await model.predict(texts)

    assert with_async_model(service, use, batch_size=4) == [LABELS[len(text) % 3] for text in texts]
    assert sum(path.endswith("/predict") for _, path, _, _ in service.requests) == 2 + 13


def test_async_retries_and_gives_up(service, monkeypatch):
    waits = []

    async def sleep(seconds):
        waits.append(seconds)

    monkeypatch.setattr("maas_sdk.aio.asyncio.sleep", sleep)

    async def use(model):
        service.failures = [failure(503, headers=[("Retry-After", "2")]), "drop"]
        assert await model.predict("ab") == "positive"
        assert waits[0] == 2.0 and len(waits) == 2
        service.failures = [failure(422)]
        with pytest.raises(maas_sdk.InvalidRequestError):
            await model.predict("ab")
        service.failures = [failure(429)] * 4
        with pytest.raises(maas_sdk.RateLimitError):
            await model.predict("ab")
        with pytest.raises(TypeError):
            await model.predict([b"ab"])

    with_async_model(service, use)
    with pytest.raises(ValueError):
        maas_sdk.AsyncMaaSClient(concurrency=0)
    assert "key" not in repr(maas_sdk.AsyncMaaSClient("secret-key"))


def test_async_does_not_block_the_loop(service):
    service.failures = []

    async def use(model):
        service.failures = ["hang"]
        ticks = 0
        waiting = asyncio.ensure_future(model.predict("ab"))
        while not waiting.done():
            ticks += 1
            await asyncio.sleep(0.01)
        with pytest.raises(maas_sdk.MaaSTimeoutError):
            waiting.result()
        return ticks

    assert with_async_model(service, use, timeout=0.3) > 3
