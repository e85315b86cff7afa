"""Pages that reach a server without keys by a name of their own (DNS rebinding), or by its address from another site: none
may use the routes of administrators and of a project's files, jobs, feedback and usage. Other clients may."""

import http.client
import json
import re
import subprocess
import urllib.parse
import urllib.request

import browser as browsing
import openai
import pytest

PAGE = "https://app.example.org"
# The routes that a page may use on a server without keys: models, predictions, health, metrics and descriptions.
OPEN = re.compile(
    r"/(|classify|decode|embed|health(/.*)?|info|metrics|openapi\.json|predict|similarity|tokenize|models/.*"
    r"|v1/(classify|embeddings|models|models/\{name\}.*)|v2|v2/(health|models)/.*|v2/repository/index)"
)
REMOVAL = ("DELETE", "/v1/models/{name}")


def ask(endpoint, method, path, host=None, body=None, **headers):
    """Returns the status and the error's code. `host` replaces the name in the header Host, not the port."""
    parts = urllib.parse.urlsplit(endpoint)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    headers["Host"] = f"{host or parts.hostname}:{parts.port}"
    if body is None and method != "GET":
        body = "{}"
    if body is not None:
        headers.setdefault("Content-Type", "application/json")
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    document = json.loads(content) if content.startswith(b"{") else {}
    error = document.get("error")
    return answer.status, error.get("code") if isinstance(error, dict) else document.get("code")


def marks_of(endpoint, host):
    """The headers by which a browser marks a request that is no GET, of a page at http://HOST to its own host."""
    return {"Origin": f"http://{host}:{urllib.parse.urlsplit(endpoint).port}"}


def rebound(endpoint, method, path, host="rebound.example", **headers):
    """What a page gets whose name was made to point to the server: its GETs have no mark, the others an Origin."""
    marks = {} if method == "GET" else marks_of(endpoint, host)
    return ask(endpoint, method, path, host, **marks, **headers)


@pytest.fixture
def start(serve, models_root, tmp_path):
    return lambda *options: serve("--models", models_root, "--state", tmp_path / "state", *options).endpoint


def all_routes(endpoint):
    with urllib.request.urlopen(endpoint + "/openapi.json") as answer:
        paths = json.load(answer)["paths"]
    return [(method.upper(), path) for path, operations in paths.items() for method in operations]


def test_a_rebound_page_reaches_models_and_predictions_alone(start):
    endpoint = start()
    refused = set()
    for method, path in all_routes(endpoint):
        filled = re.sub(r"\{version\}", "1", re.sub(r"\{\w+\}", "none", path.replace("{version}", "1")))
        kind = {"Content-Type": "multipart/form-data; boundary=B"} if (method, path) == ("POST", "/v1/files") else {}
        status, code = rebound(endpoint, method, filled, **kind)
        guarded = not OPEN.fullmatch(path) or (method, path) == REMOVAL
        expected = "unsafe_host" if method == "GET" else "from_a_page"
        assert ((status, code) == (403, expected)) == guarded, (method, path, status, code)
        if guarded:
            refused.add((method, path))
    jobs = {(method, f"/v1/{base}{path}") for base in ("jobs", "fine_tuning/jobs") for method, path in (
        ("GET", ""), ("POST", ""), ("GET", "/{id}"), ("POST", "/{id}/cancel"), ("POST", "/{id}/pause"), ("POST", "/{id}/resume"),
        ("GET", "/{id}/events"), ("GET", "/{id}/checkpoints"))}  # fmt: skip
    files = {("POST", "/v1/files"), ("GET", "/v1/files"), ("GET", "/v1/files/{file_id}"), ("DELETE", "/v1/files/{file_id}"),
             ("GET", "/v1/files/{file_id}/content")}  # fmt: skip
    assert refused >= jobs | files | {("POST", "/v1/feedback"), ("GET", "/v1/feedback/summary"), ("GET", "/v1/usage"), REMOVAL}
    admin = {path for _, path in refused if path.startswith(("/v1/admin/", "/v2/repository/models/"))}
    assert {"/v1/admin/audit", "/v1/admin/aliases", "/v1/admin/models/{name}/promote"} <= admin


def test_a_refused_page_changes_nothing(start):
    endpoint = start()
    client = openai.OpenAI(base_url=endpoint + "/v1", api_key="any", max_retries=0)
    kept = client.files.create(file=("a.tsv", b"label\ttext\na\tb\n"), purpose="fine-tune")
    form = "--B\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--B--\r\n"
    assert rebound(endpoint, "DELETE", f"/v1/files/{kept.id}")[0] == 403
    assert rebound(endpoint, "POST", "/v1/files", body=form, Content_Type="multipart/form-data; boundary=B")[0] == 403
    assert rebound(endpoint, "POST", "/v1/jobs", body=json.dumps({"model": "scratch", "training_file": kept.id}))[0] == 403
    assert [file.id for file in client.files.list()] == [kept.id] and list(client.fine_tuning.jobs.list()) == []


def test_pages_of_other_sites_are_refused_by_an_address_too(start):
    endpoint = start()
    for marks in ({"Origin": PAGE}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"},
                  {"Origin": "http://127.0.0.1:1"}):  # fmt: skip
        for method, path in (("GET", "/v1/files"), ("POST", "/v1/jobs"), ("GET", "/v1/admin/audit"), ("POST", "/v1/feedback")):
            assert ask(endpoint, method, path, **marks) == (403, "from_a_page"), (marks, path)
    # Pages may still use the routes that are open to them.
    assert ask(endpoint, "GET", "/v1/models", Origin=PAGE)[0] == 200


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST", "[::1]", "qing", "my_box-2", "qing.localhost"])
def test_plain_clients_and_the_own_page_are_let_in(start, host):
    endpoint = start()
    for path in ("/v1/files", "/v1/jobs", "/v1/usage", "/v1/admin/aliases"):
        assert ask(endpoint, "GET", path, host)[0] == 200, path
        assert ask(endpoint, "GET", path, host, **{"Sec-Fetch-Site": "same-origin"})[0] == 200
        assert ask(endpoint, "GET", path, host, **{"Sec-Fetch-Site": "none"})[0] == 200
    # A browser does not send Sec-Fetch-Site over http to another machine. The page is known by its address then.
    for marks in ({"Sec-Fetch-Site": "same-origin"}, {}):
        own = {**marks_of(endpoint, host), **marks}
        assert ask(endpoint, "POST", "/v1/jobs", host, **own)[0] == 400 or ask(endpoint, "POST", "/v1/jobs", host, **own)[0] == 422
        assert ask(endpoint, "POST", "/v1/admin/rescan", host, **own)[0] == 200


@pytest.mark.parametrize("host", ["rebound.example", "127.0.0.1.rebound.example", "localhost.rebound.example", "x.localhost.example",
                                  "notlocalhost.", "localhost."])  # fmt: skip
def test_hosts_that_a_page_can_claim(start, host):
    endpoint = start()
    for path in ("/v1/files", "/v1/jobs", "/v1/admin/audit"):
        assert rebound(endpoint, "GET", path, host) == (403, "unsafe_host"), path
        assert ask(endpoint, "GET", path, host, **{"Sec-Fetch-Site": "same-origin"}) == (403, "from_a_page"), path
        assert rebound(endpoint, "POST", "/v1/jobs", host) == (403, "from_a_page")
    assert rebound(endpoint, "GET", "/v1/models", host)[0] == 200


def test_the_common_clients(start):
    endpoint = start()
    port = urllib.parse.urlsplit(endpoint).port
    for host in ("127.0.0.1", "localhost"):
        assert list(openai.OpenAI(base_url=f"http://{host}:{port}/v1", api_key="any").files.list()) == []
        shown = subprocess.run(["curl", "-sS", f"http://{host}:{port}/v1/jobs"], capture_output=True, text=True, check=True)
        assert json.loads(shown.stdout)["data"] == []


def test_keys_let_any_name_in(qing, serve, models_root, tmp_path):
    store = tmp_path / "keys.db"
    key = qing("keys", "create", "--store", store, "--scopes", "predict,admin").stdout.strip()
    endpoint = serve("--models", models_root, "--state", tmp_path / "state", "--keys", store).endpoint
    for path in ("/v1/files", "/v1/admin/audit"):
        assert rebound(endpoint, "GET", path) == (401, "unauthorized")
        assert rebound(endpoint, "GET", path, Authorization=f"Bearer {key}")[0] == 200
    own = {"Sec-Fetch-Site": "same-origin", "Authorization": f"Bearer {key}"}
    assert rebound(endpoint, "POST", "/v1/admin/rescan", **own)[0] == 200
    # Browsers send no Sec-Fetch-Site to a name over http.
    assert rebound(endpoint, "POST", "/v1/admin/rescan", Authorization=f"Bearer {key}")[0] == 200


def test_an_allowed_origin_may_use_a_projects_things(start):
    endpoint = start("--cors-origin", PAGE)
    assert ask(endpoint, "GET", "/v1/files", Origin=PAGE)[0] == 200
    assert ask(endpoint, "POST", "/v1/jobs", Origin=PAGE)[1] not in ("from_a_page", "unsafe_host")
    assert ask(endpoint, "GET", "/v1/admin/audit", Origin=PAGE) == (403, "from_a_page")
    assert ask(endpoint, "GET", "/v1/files", Origin=PAGE + ".evil")[0] == 403


def test_an_address_that_other_machines_reach_takes_plain_clients_by_any_name(start):
    endpoint = start("--address", "0.0.0.0", "--allow-no-keys").replace("0.0.0.0", "127.0.0.1")
    assert ask(endpoint, "GET", "/v1/files", "qing.team.svc.cluster.local")[0] == 200
    assert rebound(endpoint, "POST", "/v1/jobs") == (403, "from_a_page")
    assert ask(endpoint, "GET", "/v1/files", "qing.example.org", Origin=PAGE) == (403, "from_a_page")


FETCH = """
const [method, path] = arguments, done = arguments[arguments.length - 1];
fetch(path, {method, ...(method === 'GET' ? {} : {body: '{}', headers: {'Content-Type': 'application/json'}})})
  .then(answer => answer.json().then(body => done([answer.status, body])), error => done([0, String(error)]));
"""


@browsing.needs_chromium
def test_a_browser_whose_name_was_rebound(start):
    endpoint = start()
    port = urllib.parse.urlsplit(endpoint).port
    page = browsing.Browser("--host-resolver-rules=MAP rebound.example 127.0.0.1")
    try:
        def fetched(method, path):
            return page.send("POST", "/execute/async", {"script": FETCH, "args": [method, path]})

        page.open(f"http://rebound.example:{port}/openapi.json")
        for method, path in (("GET", "/v1/files"), ("GET", "/v1/jobs"), ("GET", "/v1/admin/audit"), ("POST", "/v1/jobs"),
                             ("DELETE", "/v1/files/file-x"), ("POST", "/v1/jobs/ftjob-x/cancel")):  # fmt: skip
            status, body = fetched(method, path)
            code = body["error"]["code"] if isinstance(body["error"], dict) else body["code"]
            assert (status, code) == (403, "unsafe_host" if method == "GET" else "from_a_page"), (method, path, body)
        for host in ("127.0.0.1", "localhost"):
            page.open(f"http://{host}:{port}/openapi.json")
            assert fetched("GET", "/v1/files")[0] == 200
            assert fetched("DELETE", "/v1/files/file-x")[0] == 404
            assert fetched("POST", "/v1/admin/rescan")[0] == 200
    finally:
        page.close()
