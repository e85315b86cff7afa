"""Two projects on one server: whatever one asks about the other's things is answered as if they did not exist."""

import json
import shutil
import sqlite3
import time
import urllib.parse

import pytest
from test_care import Caller, predict, root, store  # noqa: F401 (fixtures)

TEXT = "I love this song"
FILE, NO_FILE = "file-0VbUqk1AbBSwXzW3fL9y2Hcd", "file-0VbUqk1AbBSwXzW3fL9y2Hce"
JOB, NO_JOB = "ftjob-AbCdEfGhIjKlMnOpQrStUvWx", "ftjob-AbCdEfGhIjKlMnOpQrStUvWy"
MODEL, NO_MODEL = "ft-mood.team-AbCdEf", "ft-mood.team-AbCdEg"
REQUEST, NO_REQUEST = "request-of-a", "request-of-x"
INFER = {"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": [TEXT]}]}
TRAIN = {"model": "scratch", "training_file": NO_FILE}

# Method, path, body. {file}, {job}, {model} and {request} are the other project's, or ones that do not exist.
FILES = [
    ("GET", "/v1/files/{file}", None),
    ("GET", "/v1/files/{file}/content", None),
    ("DELETE", "/v1/files/{file}", None),
    ("HEAD", "/v1/files/{file}", None),
    ("GET", "/v1/files/{file}/", None),
    ("GET", "/v1/files/{file}%2Fcontent", None),
    ("GET", "/v1/files/.%2F{file}", None),
    ("GET", "/v1/files/x%2F..%2F{file}", None),
    ("GET", "/v1/files/{file}.", None),
    ("GET", "/v1/files/{file}%00", None),
    ("GET", "/v1/files/%66ile-{file_rest}", None),
    ("GET", "/v1/files/{file_upper}", None),
]
JOBS = [
    (method, base + "/{job}" + action, None)
    for base in ("/v1/jobs", "/v1/fine_tuning/jobs")
    for method, action in (
        ("GET", ""), ("HEAD", ""), ("GET", "/events"), ("GET", "/events?limit=1"), ("GET", "/checkpoints"),
        ("POST", "/cancel"), ("POST", "/pause"), ("POST", "/resume"), ("GET", "."), ("GET", "%20"),
    )
]  # fmt: skip
MAKING = [
    ("POST", base, {**TRAIN, **body})
    for base in ("/v1/jobs", "/v1/fine_tuning/jobs")
    for body in ({"training_file": "{file}"}, {"validation_file": "{file}"}, {"model": "{model}"})
]
MODELS = [
    ("GET", "/v1/models/{model}", None),
    ("HEAD", "/v1/models/{model}", None),
    ("DELETE", "/v1/models/{model}", None),
    ("POST", "/v1/models/{model}/predict", {"texts": [TEXT]}),
    ("POST", "/v1/models/{model}:predict", {"instances": [TEXT]}),
    ("GET", "/v2/models/{model}", None),
    ("GET", "/v2/models/{model}/ready", None),
    ("GET", "/v2/models/{model}/versions/1", None),
    ("POST", "/v2/models/{model}/infer", INFER),
    ("POST", "/v2/models/{model}/versions/1/infer", INFER),
    ("POST", "/models/{model}", {"inputs": TEXT}),
    ("POST", "/v1/classify", {"model": "{model}", "input": [TEXT]}),
    ("POST", "/v1/embeddings", {"model": "{model}", "input": [TEXT]}),
    ("GET", "/v1/models/{model_upper}", None),
    ("GET", "/v1/models/{model}.", None),
    ("GET", "/v1/models/ft-mood%2Eteam-{model_rest}", None),
    ("GET", "/v1/models/.%2F{model}", None),
]
ADMIN = [
    ("POST", "/v1/admin/models/{model}/load", {}),
    ("POST", "/v1/admin/models/{model}/load", {"version": 1}),
    ("POST", "/v1/admin/models/{model}/unload", {}),
    ("POST", "/v1/admin/models/{model}/rollback", {}),
    ("PUT", "/v1/admin/models/{model}/trial", {"version": 1}),
    ("DELETE", "/v1/admin/models/{model}/trial", None),
    ("POST", "/v1/admin/models/{model}/promote", {"from": "emotion_analysis"}),
    ("POST", "/v1/admin/models/emotion_analysis/promote", {"from": "{model}"}),
    ("GET", "/v1/admin/models/{model}/history", None),
    ("GET", "/v1/admin/models/{model}/report", None),
    ("PUT", "/v1/admin/models/{model}/retraining", {"every_hours": 1, "least_texts": 1}),
    ("DELETE", "/v1/admin/models/{model}/retraining", None),
    ("PUT", "/v1/admin/aliases/mine", {"model": "{model}"}),
    ("PUT", "/v1/admin/aliases/emotion_analysis", {"model": "{model}"}),
    ("PUT", "/v1/admin/aliases/.mine", {"model": "{model}"}),
    ("DELETE", "/v1/admin/aliases/{model}", None),
    ("POST", "/v2/repository/models/{model}/load", {}),
    ("POST", "/v2/repository/models/{model}/unload", {}),
]
RULE = [
    ("POST", "/v1/admin/models/emotion_analysis/promote", {"from": "ft-new", "rule": {"evaluation": "{file}"}}),
]
FEEDBACK = [("POST", "/v1/feedback", {"request_id": "{request}", "label": "neutral"})]
WAYS = FILES + JOBS + MAKING + MODELS + ADMIN + RULE + FEEDBACK


def filled(text, real):
    file, job, model, request = (FILE, JOB, MODEL, REQUEST) if real else (NO_FILE, NO_JOB, NO_MODEL, NO_REQUEST)
    for name, value in (
        ("file_rest", file.removeprefix("file-")), ("file_upper", file.upper()), ("file", file), ("job", job),
        ("model_rest", model.removeprefix("ft-mood.team-")), ("model_upper", model.upper()), ("model", model),
        ("request", request),
    ):  # fmt: skip
        text = text.replace("{" + name + "}", value)
    return text


def hidden(text):
    """The text without what differs between the things that exist and those that do not."""
    for real, other in ((FILE, NO_FILE), (JOB, NO_JOB), (MODEL, NO_MODEL), (REQUEST, NO_REQUEST)):
        for form in (str, str.upper, urllib.parse.quote):
            text = text.replace(form(real), form(other))
    return text


@pytest.fixture
def tenants(root, serve, store, tmp_path):  # noqa: F811
    state = tmp_path / "state"
    a, b, c = (Caller("", store(*given)) for given in (("a", "predict,admin,metrics"), ("b", "predict,admin,metrics"), ("b",)))
    first = serve("--models", root, "--keys", store.file, "--state", state)
    a.endpoint = first.endpoint
    _, request = predict(a)
    assert a("POST", "/v1/feedback", {"request_id": request, "label": "neutral"})[0] == 200  # makes the state
    first.stop()
    now = int(time.time())
    (state / "files").mkdir(exist_ok=True)
    (state / "files" / FILE).write_text("text\tlabel\nfine\tpositive\n")
    (state / "jobs" / JOB).mkdir(parents=True)
    shutil.copytree(root / "emotion_analysis/1", state / "models" / MODEL / "1")
    with sqlite3.connect(state / "qing.db") as database:
        database.execute(
            "INSERT INTO files VALUES(?, 'a', 'x.tsv', 'user_data', 24, ?, 0, ?, '')", (FILE, now, "0" * 64))  # fmt: skip
        database.execute(
            "INSERT INTO jobs(id, project, status, created, finished, base, base_version, model, training_file, "
            "validation_file, seed, metadata, hyperparameters, options, idempotency_key, request) "
            "VALUES(?, 'a', 'succeeded', ?, ?, 'scratch', 0, ?, ?, '', 42, '{}', '{}', '{}', '', '')",
            (JOB, now, now, MODEL, FILE))  # fmt: skip
        database.execute("INSERT INTO models VALUES(?, 'a', ?, ?)", (MODEL, JOB, now))
    server = serve("--models", root, "--keys", store.file, "--state", state)
    a.endpoint = b.endpoint = c.endpoint = server.endpoint
    predict(a, X_Request_Id=REQUEST)
    return a, b, c


def ask(caller, way, real):
    method, path, body = way
    body = None if body is None else json.loads(filled(json.dumps(body), real))
    status, answer, _ = caller(method, filled(path, real), body)
    return status, hidden(json.dumps(answer))


def test_a_tenant_sees_what_is_its_own(tenants):
    a, *_ = tenants
    for path in (f"/v1/jobs/{JOB}", f"/v1/models/{MODEL}", f"/v1/admin/models/{MODEL}/history", f"/v1/files/{FILE}"):
        assert a("GET", path)[0] == 200, path
    assert a("POST", "/v1/classify", {"model": MODEL, "input": [TEXT]})[0] == 200


def test_there_are_sixty_ways():
    assert len(WAYS) >= 60 and len({json.dumps(way) for way in WAYS}) == len(WAYS)


def test_nothing_tells_whether_anothers_things_exist(tenants):
    _, b, c = tenants
    for way in WAYS:
        given, other = ask(b, way, True), ask(b, way, False)
        assert given == other, way
        assert given[0] in ((403, 404, 405) if way not in MAKING + RULE else (400, 403, 404, 422)), (way, given)
        assert ask(c, way, True) == ask(c, way, False), way
    for way in ADMIN + RULE:
        assert ask(c, way, True)[0] == 403, way


def test_lists_have_only_ones_own(tenants):
    a, b, _ = tenants
    names = (FILE, JOB, MODEL)
    lists = ["/v1/models", "/v1/jobs", "/v1/fine_tuning/jobs", "/v1/files", "/v1/admin/aliases", "/v1/admin/audit",
             "/v1/feedback/summary"]  # fmt: skip
    for path in lists:
        text = json.dumps(b("GET", path)[1])
        assert not any(name in text for name in names), path
    assert not any(name in json.dumps(b("POST", "/v2/repository/index", {})[1]) for name in names)
    assert MODEL in json.dumps(a("POST", "/v2/repository/index", {})[1])
    assert b("POST", "/v1/admin/rescan", {})[1] == {"failed": {}}
    # A cursor of another project is as one that never was.
    for path in ("/v1/jobs?after=", "/v1/fine_tuning/jobs?after=", "/v1/files?after="):
        real, other = FILE if "files" in path else JOB, NO_FILE if "files" in path else NO_JOB
        assert b("GET", path + real)[0] == b("GET", path + other)[0], path
        assert not any(name in json.dumps(b("GET", path + real)[1]).replace(real, "") for name in names)


def test_a_stale_key_reaches_nothing(qing, tenants, store):  # noqa: F811
    a, *_ = tenants
    qing("keys", "revoke", "--store", store.file, a.key.split(".")[0])
    deadline = time.monotonic() + 10
    while a("GET", "/v1/models")[0] != 401 and time.monotonic() < deadline:
        time.sleep(0.05)
    never = Caller(a.endpoint, f"{'0' * 16}.{'0' * 64}")
    for way in WAYS:
        given = ask(a, way, True)
        assert given == ask(never, way, True), way
        assert given[0] == 401 or "unknown_route" in given[1] or given[1] == "null", (way, given)


def test_an_alias_of_another_project_is_a_name_in_use(tenants):
    a, b, _ = tenants
    assert a("PUT", "/v1/admin/aliases/secret", {"model": MODEL})[0] == 200
    assert "secret" in a("GET", "/v1/admin/aliases")[1]["aliases"]
    assert "secret" not in b("GET", "/v1/admin/aliases")[1]["aliases"]

    # The answer is the same for a public model, for another project's model and for another project's alias.
    for name in ("emotion_analysis", MODEL, "secret"):
        status, answer, _ = b("PUT", f"/v1/admin/aliases/{name}", {"model": "emotion_analysis"})
        assert (status, answer["code"]) == (422, "unacceptable_change"), (name, answer)
        assert answer["error"] == f"alias '{name}': the name is in use; take another"
    # Another project's alias gets the same answer as an alias that does not exist.
    gone, never = (b("DELETE", f"/v1/admin/aliases/{name}")[:2] for name in ("secret", "never"))
    assert gone == never and gone[0] == 404
    for way in (("GET", "/v1/models/{}", None), ("POST", "/v1/models/{}/predict", {"texts": [TEXT]}),
                ("POST", "/v1/admin/models/{}/unload", {}), ("GET", "/v1/admin/models/{}/history", None)):  # fmt: skip
        theirs, none = (b(way[0], way[1].format(name), way[2])[:2] for name in ("secret", "secreu"))
        assert json.dumps(theirs) == json.dumps(none).replace("secreu", "secret"), way
    # Nothing of it has changed.
    assert a("GET", "/v1/admin/aliases")[1]["aliases"] == {"secret": {"model": MODEL}}
    assert a("POST", "/v1/models/secret/predict", {"texts": [TEXT]})[1]["model"] == MODEL

    # Its own project may change it. Every project may change the alias of a public model.
    assert a("PUT", "/v1/admin/aliases/secret", {"model": MODEL, "version": 1})[0] == 200
    assert a("PUT", "/v1/admin/aliases/public", {"model": "emotion_analysis"})[0] == 200
    assert b("PUT", "/v1/admin/aliases/public", {"model": "ft-new"})[0] == 200
    assert b("DELETE", "/v1/admin/aliases/public")[0] == 200
    assert a("DELETE", "/v1/admin/aliases/secret")[0] == 200
    assert b("PUT", "/v1/admin/aliases/secret", {"model": "emotion_analysis"})[0] == 200


def test_another_servers_alias_is_a_name_in_use_too(tenants, serve, store, root, tmp_path):  # noqa: F811
    """A server that has not looked at the choices since must not overwrite or remove what another one has written."""
    a, b, _ = tenants
    b.endpoint = serve("--models", root, "--keys", store.file, "--state", tmp_path / "state").endpoint
    assert a("PUT", "/v1/admin/aliases/secret", {"model": MODEL})[0] == 200
    assert b("DELETE", "/v1/admin/aliases/secret")[0] == 404
    status, answer, _ = b("PUT", "/v1/admin/aliases/secret", {"model": "emotion_analysis"})
    assert status == 422 and answer["error"] == "alias 'secret': the name is in use; take another"
    assert a("POST", "/v1/admin/rescan", {})[0] == 200
    assert a("GET", "/v1/admin/aliases")[1]["aliases"] == {"secret": {"model": MODEL}}
