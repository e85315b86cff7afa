"""Browsers: pages of other origins, and a service below a prefix, with and without a proxy that removes it."""

import http.client
import http.server
import json
import re
import subprocess
import threading
import urllib.parse

import browser as browsing
import pytest
from conftest import RunningServer
from http_cases import BODY, PATH, post
from maas_sdk import MaaSClient
from test_http_abuse import Connection

PAGE = "https://app.example.org"
needs_browser = browsing.needs_chromium


def ask(endpoint, method, path, body=None, **headers):
    """Returns status, fields (repeated ones joined) and body."""
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(endpoint).netloc, timeout=30)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        content = answer.read()
        names = {name.lower() for name in answer.headers}
        return answer.status, {name: ", ".join(answer.headers.get_all(name)) for name in names}, content
    finally:
        connection.close()


def preflight(endpoint, path, origin=PAGE, method="POST", headers="authorization,content-type"):
    return ask(endpoint, "OPTIONS", path, Origin=origin, Access_Control_Request_Method=method, Access_Control_Request_Headers=headers)


def listed(fields, name):
    return {item.strip().lower() for item in fields.get(name, "").split(",") if item.strip()}


@pytest.fixture(scope="module")
def running(qing, models_root):
    servers = []

    def start(*arguments):
        servers.append(RunningServer(qing.binary, "--port", 0, "--models", models_root, *arguments))
        return servers[-1].endpoint

    yield start
    for server in servers:
        assert server.stop()[0] == 0


@pytest.fixture(scope="module")
def chosen(running, qing, tmp_path_factory):
    """A server for the pages of two origins, with keys."""
    store = tmp_path_factory.mktemp("keys") / "keys.db"
    key = json.loads(qing("keys", "create", "--store", store, "--json", "--scopes", "predict,admin").stdout)["key"]
    return running("--cors-origin", PAGE, "--cors-origin", "http://localhost:3000", "--keys", store, "--body-bytes", 20_000,
                   "--header-bytes", 2048), key  # fmt: skip


# --- CORS ---


def test_without_the_option_no_cors_fields_are_sent(running):
    endpoint = running()
    for status, fields, _ in (ask(endpoint, "GET", "/v1/models", Origin=PAGE), preflight(endpoint, PATH.decode())):
        assert status in (200, 405)
        assert not [name for name in fields if name.startswith("access-control-")] and "vary" not in fields


def test_a_preflight_names_methods_and_headers(chosen):
    endpoint, _ = chosen
    status, fields, body = preflight(endpoint, PATH.decode())
    assert status == 204 and body == b"" and "content-length" not in fields and "content-type" not in fields
    assert fields["access-control-allow-origin"] == PAGE and listed(fields, "vary") >= {"origin"}
    assert listed(fields, "access-control-allow-methods") == {"post"}
    assert listed(fields, "access-control-allow-headers") >= {"authorization", "content-type", "x-api-key", "x-request-id",
                                                             "request-timeout", "inference-header-content-length"}  # fmt: skip
    assert 0 < int(fields["access-control-max-age"]) <= 86400
    assert "access-control-allow-credentials" not in fields
    assert listed(preflight(endpoint, "/v1/models", method="GET")[1], "access-control-allow-methods") == {"get", "head"}
    assert preflight(endpoint, "/v1/models", origin="http://localhost:3000")[1]["access-control-allow-origin"] == "http://localhost:3000"


def test_the_connection_goes_on_after_a_preflight(chosen):
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(chosen[0]).netloc, timeout=10)
    for _ in range(3):
        connection.request("OPTIONS", PATH.decode(), headers={"Origin": PAGE, "Access-Control-Request-Method": "POST"})
        answer = connection.getresponse()
        assert answer.status == 204 and answer.read() == b""
    connection.close()


@pytest.mark.parametrize("origin", ["https://evil.example.org", "http://app.example.org", PAGE + ":8443", PAGE + ".evil.org", "null",
                                    "https://APP.example.org", "https://app.example.org/", "http://localhost:3001"])  # fmt: skip
def test_other_origins_are_not_let_in(chosen, origin):
    endpoint, key = chosen
    status, fields, _ = preflight(endpoint, PATH.decode(), origin=origin)
    assert status == 403 and "access-control-allow-origin" not in fields and listed(fields, "vary") >= {"origin"}
    _, fields, _ = ask(endpoint, "GET", "/v1/models", Origin=origin, Authorization="Bearer " + key)
    assert "access-control-allow-origin" not in fields and listed(fields, "vary") >= {"origin"}


def test_every_answer_carries_the_fields(chosen):
    endpoint, key = chosen
    kind = {"Content_Type": "application/json", "Origin": PAGE}
    good = {**kind, "Authorization": "Bearer " + key}
    path = PATH.decode()
    answers = {
        200: ask(endpoint, "POST", path, BODY, **good),
        400: ask(endpoint, "POST", path, b"{", **good),
        401: ask(endpoint, "POST", path, BODY, **kind),
        403: ask(endpoint, "POST", "/v1/admin/rescan", b"{}", **good),
        404: ask(endpoint, "POST", "/v1/models/none/predict", BODY, **good),
        405: ask(endpoint, "PUT", path, BODY, **good),
        413: ask(endpoint, "POST", path, b" " * 30_000, **good),
        415: ask(endpoint, "POST", path, BODY, Origin=PAGE, Authorization="Bearer " + key, Content_Type="text/plain"),
        422: ask(endpoint, "POST", path, b'{"text":1}', **good),
        504: ask(endpoint, "POST", path, json.dumps({"texts": ["I love it " * 25] * 60, "explain": True}).encode(),
                 Request_Timeout="0.001", **good),  # fmt: skip
    }
    for expected, (status, fields, _) in answers.items():
        assert status == expected
        assert fields.get("access-control-allow-origin") == PAGE, status
        assert {"origin"} <= listed(fields, "vary"), status
        assert listed(fields, "access-control-expose-headers") >= {"retry-after", "x-request-id", "inference-header-content-length"}
    # Refused for its framing after the header has been read.
    connection = Connection(urllib.parse.urlsplit(endpoint).port)
    connection.send(post(b"Origin: " + PAGE.encode(), b"Authorization: Bearer " + key.encode(), b"Content-Length: 15"))
    status, fields, _ = connection.answer()
    assert status == 400 and fields["access-control-allow-origin"] == PAGE
    # The origin of an earlier request has no effect.
    connection = Connection(urllib.parse.urlsplit(endpoint).port)
    connection.send(b"GET /v1/models HTTP/1.1\r\nHost: x\r\nOrigin: " + PAGE.encode() + b"\r\n\r\nGET / HTTP/1.1\r\nA: b\nC: d\r\n\r\n")
    assert connection.answer()[1]["access-control-allow-origin"] == PAGE
    status, fields, _ = connection.answer()
    assert status == 400 and "access-control-allow-origin" not in fields


@pytest.mark.parametrize("expected, sent", [(400, b"A: b\nC: d\r\n\r\n"), (408, b""), (431, b"A: " + b"a" * 20_000 + b"\r\n")])
def test_refusals_before_the_end_of_the_header_name_no_origin(running, expected, sent):
    endpoint = running("--cors-origin", PAGE, "--request-time", 0.3)
    connection = Connection(urllib.parse.urlsplit(endpoint).port)
    connection.send(b"GET / HTTP/1.1\r\nHost: x\r\nOrigin: " + PAGE.encode() + b"\r\n" + sent)
    status, fields, _ = connection.answer()
    assert status == expected and "access-control-allow-origin" not in fields


def test_admin_routes_stay_closed_to_pages(chosen):
    endpoint, key = chosen
    status, fields, body = preflight(endpoint, "/v1/admin/rescan")
    assert status == 403 and "access-control-allow-methods" not in fields and b"from_a_page" in body
    assert ask(endpoint, "POST", "/v1/admin/rescan", b"{}", Origin=PAGE, Authorization="Bearer " + key)[0] == 403
    assert preflight(endpoint, "/nothing")[0] == 404


def test_all_origins(running):
    endpoint = running("--cors-origin", "*", "--request-time", 0.3)
    status, fields, _ = preflight(endpoint, PATH.decode(), origin="null")
    assert status == 204 and fields["access-control-allow-origin"] == "*" and "vary" not in fields
    assert ask(endpoint, "GET", "/v1/models")[1]["access-control-allow-origin"] == "*"
    connection = Connection(urllib.parse.urlsplit(endpoint).port)
    connection.send(b"GET / HTTP/1.1\r\n")
    status, fields, _ = connection.answer()
    assert status == 408 and fields["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("wrong", ["app.example.org", "https://app.example.org/", "https://app.example.org/a", "https://*.example.org",
                                   "https://App.example.org", "null", "https://", "https://a:0", "https://a:443", "http://a:80",
                                   "http://a:99999", "http://a:", "http://a b", "http://a\r\nX: y", "http://user@a", "https://情",
                                   "*,https://a.org", "http://[::1", ""])  # fmt: skip
def test_wrong_origins_are_refused(qing, models_root, wrong):
    result = qing("serve", "--port", 0, "--models", models_root, f"--cors-origin={wrong}", check=False)
    assert result.returncode in (1, 2) and ("origin" in result.stderr)


def test_origins_from_the_environment_and_a_file(qing, models_root, tmp_path, monkeypatch):
    config = tmp_path / "qing.toml"
    config.write_text('cors-origin = ["https://a.example.org", "http://[::1]:8000"]\nbase-path = "/x"\n')
    monkeypatch.setenv("QING_SERVE_BASE_PATH", "/y")
    server = RunningServer(qing.binary, "--port", 0, "--models", models_root, "--config", config)
    assert ask(server.endpoint, "GET", "/y/v1/models", Origin="http://[::1]:8000")[1]["access-control-allow-origin"] == "http://[::1]:8000"
    server.stop()
    monkeypatch.setenv("QING_SERVE_CORS_ORIGIN", "https://b.example.org,https://c.example.org")
    server = RunningServer(qing.binary, "--port", 0, "--models", models_root, "--config", config)
    for letter, there in (("a", False), ("b", True), ("c", True)):
        _, fields, _ = ask(server.endpoint, "GET", "/y/v1/models", Origin=f"https://{letter}.example.org")
        assert ("access-control-allow-origin" in fields) == there, letter
    server.stop()


# --- a prefix ---


def test_everything_is_below_the_base_path(running):
    endpoint = running("--base-path", "/tools/qing/")
    root = endpoint + "/tools/qing"
    model = MaaSClient(endpoint=root).get_model("emotion_analysis")
    assert model.predict(["I love this film"])[0].score > 0
    html = {"Accept": "text/html"}
    assert ask(endpoint, "GET", "/tools/qing/", **html)[1]["content-type"].startswith("text/html")
    for path, location in (("/tools/qing", "qing/"), ("/tools/qing?a=//b", "qing/?a=//b")):
        status, fields, _ = ask(endpoint, "GET", path, **html)
        assert status == 308 and fields["location"] == location
    assert json.loads(ask(endpoint, "GET", "/tools/qing")[2]) == {"status": "alive"}
    # Hugging Face's client sends to the given address unchanged.
    assert ask(endpoint, "POST", "/tools/qing", b'{"inputs": "I love it"}', Content_Type="application/json")[0] == 200
    description = json.loads(ask(endpoint, "GET", "/tools/qing/openapi.json")[2])
    assert description["servers"] == [{"url": "/tools/qing"}] and "/v1/models" in description["paths"]
    for outside in ("/", "/v1/models", "/tools/", "/tools/qingx/v1/models", "/tools/qing2", "/TOOLS/QING/v1/models", "/health"):
        status, fields, body = ask(endpoint, "GET", outside, **html)
        assert status == 404 and b"/tools/qing/" in body, outside
    assert ask(endpoint, "GET", "/tools/qing//v1/models")[0] == 404


def test_a_trusted_prefix_shows_in_the_page_and_the_description(running):
    trusting, other = running("--trust-forwarded-prefix", "--base-path", "/in"), running()
    forwarded = {"Accept": "text/html", "X_Forwarded_Prefix": "/out/"}
    status, fields, html = ask(trusting, "GET", "/in/", **forwarded)
    assert status == 200 and b'data-base="/out/in/"' in html and listed(fields, "vary") >= {"accept", "x-forwarded-prefix"}
    assert ask(trusting, "GET", "/in", **forwarded)[1]["location"] == "/out/in/"
    assert json.loads(ask(trusting, "GET", "/in/openapi.json", **forwarded)[2])["servers"] == [{"url": "/out/in"}]
    assert b'data-base=""' in ask(trusting, "GET", "/in/", Accept="text/html")[2]
    assert b'data-base=""' in ask(other, "GET", "/", **forwarded)[2]
    assert "servers" not in json.loads(ask(other, "GET", "/openapi.json", **forwarded)[2])
    for wrong in ("//evil.example.org", "https://evil.example.org", "/a/../b", "/a b", '/"><script>', "a", "/a, /b", "/a//b", "/%2e",
                  "/" + "a" * 300, "/情".encode()):  # fmt: skip
        assert ask(trusting, "GET", "/in/", Accept="text/html", X_Forwarded_Prefix=wrong)[0] == 400, wrong


@pytest.mark.parametrize("wrong", ["qing", "//qing", "/a//b", "/..", "/a/./b", "/a b", "/a?b", "/a#b", "/%61", "https://a/b", "/情"])
def test_wrong_base_paths_are_refused(qing, models_root, wrong):
    result = qing("serve", "--port", 0, "--models", models_root, "--base-path", wrong, check=False)
    assert result.returncode == 1 and "base path" in result.stderr


# --- in a browser ---


class Pages(http.server.BaseHTTPRequestHandler):
    """Serves an empty page for every path. Below /stripped/ it is a proxy that removes this prefix."""

    def do_GET(self):  # noqa: N802
        if self.path == "/stripped" or self.path.startswith("/stripped/"):
            return self.forward()
        self.answer(200, {"Content-Type": "text/html"}, b"<!doctype html><title>another site</title>")

    def do_POST(self):  # noqa: N802
        self.forward()

    def forward(self):
        kept = {name: self.headers[name] for name in ("Accept", "Content-Type", "Authorization") if name in self.headers}
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        connection = http.client.HTTPConnection(self.server.behind, timeout=30)
        path = self.path.removeprefix("/stripped") or "/"
        connection.request(self.command, path, body, {**kept, "X-Forwarded-Prefix": "/stripped"})
        answer = connection.getresponse()
        content = answer.read()
        passed = {name: value for name, value in answer.headers.items() if name.startswith("Content-") and name != "Content-Length"}
        self.answer(answer.status, passed, content)
        connection.close()

    def answer(self, status, fields, content):
        self.send_response(status)
        for name, value in {**fields, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def site(running):
    """The origin of another site on this machine. /stripped is the service behind a proxy."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    server.behind = urllib.parse.urlsplit(running("--trust-forwarded-prefix")).netloc
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def chromium():
    running = browsing.Browser()
    yield running
    running.close()


FETCH = """
  return fetch(arguments[0] + '/v1/models/emotion_analysis/predict', {method: 'POST', headers: {'Content-Type': 'application/json',
    'Authorization': 'Bearer ' + arguments[1], 'X-Request-Id': 'from-a-page'}, body: arguments[2]})
    .then(async answer => ({status: answer.status, id: answer.headers.get('X-Request-Id'), retry: answer.headers.get('Retry-After'),
                            body: await answer.json()}), error => ({failed: error.name}));
"""


@needs_browser
def test_a_page_of_another_origin_calls_predict(chromium, running, qing, site, tmp_path):
    store = tmp_path / "keys.db"
    key = qing("keys", "create", "--store", store, "--requests-per-day", 2).stdout.strip()
    open_to_it, closed = running("--cors-origin", site, "--keys", store), running()
    chromium.open(site + "/")
    good = chromium.run(FETCH, open_to_it, key, '{"texts": ["I love this film"]}')
    assert good["status"] == 200 and good["id"] == "from-a-page" and len(good["body"]["predictions"]) == 1
    # Errors and Retry-After can be read as well.
    assert chromium.run(FETCH, open_to_it, key, "{")["status"] == 400
    refused = chromium.run(FETCH, open_to_it, key, "{}")
    assert refused["status"] == 429 and int(refused["retry"]) >= 1 and refused["body"]["code"] == "quota"
    assert chromium.run(FETCH, open_to_it, "wrong", "{}")["status"] == 401
    assert chromium.run(FETCH, closed, key, '{"texts": ["a"]}') == {"failed": "TypeError"}
    chromium.console()


@needs_browser
@pytest.mark.parametrize("way", ["base path", "proxy that strips", "proxy that strips, no slash"])
def test_the_page_works_below_a_prefix(chromium, running, site, way, tmp_path):
    address = running("--base-path", "/tools/qing") + "/tools/qing" if way == "base path" else site + "/stripped"
    chromium.resize(1200, 900)
    chromium.open(address + ("/" if way == "proxy that strips" else ""))
    chromium.wait("document.querySelector('#model option') !== null")
    chromium.type("#texts", "I love this film")
    chromium.click("#send")
    chromium.wait("document.querySelectorAll('#results > li').length === 1")
    assert chromium.run("return location.pathname") in ("/tools/qing/", "/stripped/", "/stripped")
    # The command that the page shows works.
    command = chromium.text("#curl")
    assert re.search(rf"curl {re.escape(address)}/v1/models/emotion_analysis/predict ", command)
    said = subprocess.run(["bash", "-c", command + " -sS"], capture_output=True, text=True, timeout=60, check=True).stdout
    assert json.loads(said)["predictions"][0]["label"]
    assert f"endpoint='{address}'" in chromium.text("#python")
    chromium.screenshot(tmp_path / "page.png")
    assert (tmp_path / "page.png").stat().st_size > 10_000
    assert chromium.console() == []
