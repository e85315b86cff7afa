"""Projects, feedback, promotion, trials in steps, audit log, webhook: through a running server."""

import base64
import hashlib
import hmac
import http.server
import json
import shutil
import sqlite3
import threading
import time
import urllib.error
import urllib.request

import pytest
from conftest import within


class Caller:
    """Sends JSON with a key and returns (status, body, headers)."""

    def __init__(self, endpoint, key=""):
        self.endpoint, self.key = endpoint, key

    def __call__(self, method, path, body=None, **headers):
        data = None if body is None else json.dumps(body).encode()
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        if data is not None:
            headers["Content-Type"] = "application/json"
        request = urllib.request.Request(self.endpoint + path, data=data, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.loads(answer.read()), answer.headers
        except urllib.error.HTTPError as error:
            with error:
                text = error.read()
                return error.code, json.loads(text) if text else None, error.headers


@pytest.fixture
def store(qing, tmp_path):
    """store(project, scopes) makes a key."""

    def make(project, scopes="predict"):
        line = qing("keys", "create", "--store", tmp_path / "keys.db", "--project", project, "--scopes", scopes, "--json")
        return json.loads(line.stdout)["key"]

    make.file = tmp_path / "keys.db"
    return make


@pytest.fixture
def root(models_root, tmp_path):
    """Models: emotion_analysis, and ft-new, which has the same labels."""
    folder = shutil.copytree(models_root, tmp_path / "models")
    shutil.copytree(folder / "emotion_analysis/1", folder / "ft-new/1")
    return folder


TEXTS = ["I love this song", "what a terrible day", "the table is brown"]


def predict(call, texts=TEXTS, **headers):
    status, body, answered = call("POST", "/v1/models/emotion_analysis/predict", {"texts": texts}, **headers)
    assert status == 200, body
    return body, answered["X-Request-Id"]


def test_feedback_from_answer_to_summary_and_export(qing, root, serve, store, tmp_path):
    a, b = store("a"), store("b", "predict,admin")
    server = serve("--models", root, "--keys", store.file, "--state", tmp_path / "state")
    call, other = Caller(server.endpoint, a), Caller(server.endpoint, b)
    body, request = predict(call)
    given = body["predictions"][1]["label"]
    status, feedback, _ = call("POST", "/v1/feedback", {"request_id": request, "index": 1, "label": given})
    assert status == 200 and feedback["agreed"] and not feedback["text_kept"], feedback
    wrong = next(label for label in ("negative", "positive") if label != body["predictions"][0]["label"])
    secret = "I love this very secret song"
    status, feedback, _ = call("POST", "/v1/feedback", {"request_id": request, "label": wrong, "text": secret})
    assert status == 200 and not feedback["text_kept"]
    assert secret.encode() not in b"".join(p.read_bytes() for p in (tmp_path / "state").glob("qing.db*")), "not asked for"
    status, feedback, _ = call(
        "POST", "/v1/feedback", {"request_id": request, "label": wrong, "text": secret, "keep_text": True}
    )
    assert status == 200 and feedback["text_kept"] and feedback["predicted"] != wrong

    status, refused, _ = call("POST", "/v1/feedback", {"request_id": request, "label": "Positive"})
    assert status == 422 and "negative, neutral, positive" in refused["error"]
    for body, code in (
        ({"request_id": request, "index": 3, "label": given}, 422),
        ({"request_id": request, "index": -1, "label": given}, 422),
        ({"request_id": request, "label": given, "keep_text": True}, 422),
        ({"request_id": "unknown", "label": given}, 404),
        ({"label": given}, 422),
        ({"request_id": request, "label": given, "more": 1}, 422),
    ):
        assert call("POST", "/v1/feedback", body)[0] == code, body
    unknown = call("POST", "/v1/feedback", {"request_id": "unknown", "label": given})
    assert other("POST", "/v1/feedback", {"request_id": request, "label": given})[:2] == unknown[:2]

    (row,) = call("GET", "/v1/feedback/summary")[1]["data"]
    assert (row["feedback"], row["agreed"], row["kept_texts"]) == (2, 1, 1)
    assert row["interval"][0] < row["agreement"] == 0.5 < row["interval"][1]
    assert other("GET", "/v1/feedback/summary")[1]["data"] == []
    assert call("GET", "/v1/feedback/summary?model=none")[1]["data"] == []
    report = other("GET", "/v1/admin/models/emotion_analysis/report")[1]
    assert report["feedback"] == 2 and report["kept_texts"] == 1 and not report["retrain"]
    assert secret not in json.dumps(report) and secret not in server.logged()

    out = tmp_path / "feedback.jsonl"
    qing("feedback", "export", "--state", tmp_path / "state", "--model", "emotion_analysis", "--project", "a", "--out", out)
    assert json.loads(out.read_text()) == {"text": secret, "label": wrong, "source": "feedback"}
    lines = qing("feedback", "summary", "--state", tmp_path / "state", "--json").stdout.splitlines()
    totals = [json.loads(line) for line in lines if "label" not in json.loads(line)]
    assert [(one["feedback"], one["agreed"], one["kept_texts"]) for one in totals] == [(2, 1, 1)]


def write_rows(path, rows):
    path.write_text("text\tlabel\tsource\n" + "".join(f"{text}\t{label}\t{source}\n" for text, label, source in rows))
    return path


def test_promotion_by_hand_and_by_rule(root, serve, tmp_path):
    state = tmp_path / "state"
    server = serve("--models", root, "--state", state)
    call = Caller(server.endpoint)
    path = "/v1/admin/models/emotion_analysis/promote"
    status, made, _ = call("POST", path, {"from": "ft-new"})
    assert status == 200 and made["promoted"] and made["version"] == "2" and made["comparison"] is None, made
    assert (state / "models/emotion_analysis/2/config.json").is_file()
    assert call("GET", "/v1/models/emotion_analysis")[1]["version"] == "2"

    rows = write_rows(tmp_path / "gold.tsv", [(f"I love this {i}", "positive", "en") for i in range(20)]
                      + [(f"我 讨厌 这个 {i}", "negative", "zh") for i in range(20)])  # fmt: skip
    assert call("POST", path, {"from": "ft-new", "rule": {}})[0] == 422
    status, made, _ = call("POST", path, {"from": "ft-new", "rule": {"evaluation": str(rows)}})
    assert status == 200 and made["promoted"] and made["version"] == "3", made
    comparison = made["comparison"]
    assert comparison["all"]["texts"] == 40 and comparison["all"]["p_value"] == 1
    assert {g["name"] for g in comparison["per_source"]} == {"en", "zh"}
    assert {g["name"] for g in comparison["per_language"]} == {"latin", "chinese"}
    assert "love" not in json.dumps(comparison)
    # The set is frozen: a changed file is refused, and another set needs a word.
    rows.write_text(rows.read_text() + "more\tneutral\ten\n")
    assert call("POST", path, {"from": "ft-new", "rule": {}})[1]["code"] == "evaluation_changed"
    second = write_rows(tmp_path / "other.tsv", [("fine", "positive", "en")])
    body = {"from": "ft-new", "rule": {"evaluation": str(second)}}
    assert call("POST", path, body)[0] == 422
    body["rule"]["replace_evaluation"] = True
    assert call("POST", path, body)[1]["version"] == "4"

    for body, code in (({"from": "none"}, 404), ({"from": "emotion_analysis"}, 422), ({}, 422), ({"from": "ft-new", "version": 7}, 422)):
        assert call("POST", path, body)[0] == code, body
    assert call("POST", "/v1/admin/models/none/promote", {"from": "ft-new"})[0] == 404
    history = call("GET", "/v1/admin/models/emotion_analysis/history")[1]
    assert [p["version"] for p in history["promotions"]] == ["4", "3", "2"]
    assert history["trial_plan"] is None and history["version"] == "4"
    assert sorted(p.name for p in (state / "models/emotion_analysis").iterdir() if not p.name.startswith(".")) == ["2", "3", "4"]
    # A restart serves what was promoted.
    server.stop()
    again = Caller(serve("--models", root, "--state", state).endpoint)
    assert again("GET", "/v1/models/emotion_analysis")[1]["version"] == "4"
    # A candidate is tried first.
    status, made, _ = again("POST", path, {"from": "ft-new", "trial": {"share": 0.25}})
    assert status == 200 and made["version"] == "5", made
    assert again("GET", "/v1/models/emotion_analysis")[1]["version"] == "4"


def versions(state):
    folder = state / "models/emotion_analysis"
    return sorted(path.name for path in folder.iterdir() if path.name != ".registry.lock") if folder.exists() else []


def test_a_promotion_that_fails_or_is_killed_leaves_no_version(root, serve, tmp_path):
    state = tmp_path / "state"
    server = serve("--models", root, "--state", state)
    call = Caller(server.endpoint)
    path = "/v1/admin/models/emotion_analysis/promote"
    assert call("POST", path, {"from": "ft-new"})[1]["version"] == "2"
    assert versions(state) == ["2"]
    with sqlite3.connect(state / "qing.db") as database:
        database.execute("ALTER TABLE promotions RENAME TO hidden")
    assert call("POST", path, {"from": "ft-new"})[0] == 500
    assert versions(state) == ["2"]
    with sqlite3.connect(state / "qing.db") as database:
        database.execute("ALTER TABLE hidden RENAME TO promotions")
    # The copy is whole, but the registry cannot write its choice.
    choices = next(file for folder in (state / "models", root) if (file := folder / ".registry.json").exists())
    shutil.move(choices, tmp_path / "choices")
    choices.mkdir()
    assert call("POST", path, {"from": "ft-new"})[0] >= 500
    assert versions(state) == ["2"]
    choices.rmdir()
    shutil.move(tmp_path / "choices", choices)
    made = call("GET", "/v1/admin/models/emotion_analysis/history")[1]["promotions"]
    assert [row["version"] for row in made] == [None, "2"] and made[0]["reasons"] and not made[1]["reasons"], made
    assert call("GET", "/v1/models/emotion_analysis")[1]["version"] == "2"

    # A server that is killed between the copy and its answer leaves this.
    server.process.kill()
    server.process.wait()
    shutil.copytree(state / "models/emotion_analysis/2", state / "models/emotion_analysis/3")
    (state / "models/emotion_analysis/.promoting-3").touch()
    (state / "models/emotion_analysis/.incoming").mkdir()
    server = serve("--models", root, "--state", state)
    call = Caller(server.endpoint)
    assert versions(state) == ["2"]
    assert call("GET", "/v1/models/emotion_analysis")[1]["version"] == "2"
    assert call("POST", path, {"from": "ft-new"})[1]["version"] == "3"


def test_a_trial_in_steps_becomes_active_and_is_told(root, serve, tmp_path, receiver):
    shutil.copytree(root / "emotion_analysis/1", root / "emotion_analysis/2")
    state = tmp_path / "state"
    server = serve("--models", root, "--state", state, *receiver.options)
    call = Caller(server.endpoint)
    call("POST", "/v1/admin/models/emotion_analysis/load", {"version": 1})
    path = "/v1/admin/models/emotion_analysis/trial"
    plan = {"version": 2, "steps": [0.5, 1], "minutes_each": 0, "requests_each": 5, "rollback": {"error_rate": 0.1, "agreement": 0.5}}
    for wrong in ({**plan, "steps": [0.5, 0.4]}, {**plan, "steps": []}, {**plan, "share": 0.5}, {"version": 2, "minutes_each": 1},
                  {**plan, "rollback": {"error_rate": 2}}, {**plan, "rollback": {"what": 1}}):  # fmt: skip
        assert call("PUT", path, wrong)[0] == 422, wrong
    status, model, _ = call("PUT", path, plan)
    assert status == 200 and model["trial"]["share"] == 0.5, model
    assert call("GET", "/v1/admin/models/emotion_analysis/history")[1]["trial_plan"]["plan"]["steps"] == [0.5, 1]

    def active():
        predict(call, [f"text {time.monotonic()}"])
        return call("GET", "/v1/models/emotion_analysis")[1]["version"] == "2"

    assert within(60, active)
    assert within(20, lambda: [m["type"] for m in receiver.messages] == ["trial.step", "trial.promote"])
    receiver.check_signatures()
    actions = [entry["action"] for entry in call("GET", "/v1/admin/audit")[1]["data"]]
    assert actions[:3] == ["trial.promote", "trial.step", "trial.set"]


class Receiver:
    """Receives webhooks. The first request of each message is answered with 500."""

    def __init__(self, folder):
        self.secret = b"0123456789abcdef0123456789abcdef"
        file = folder / "webhook.secret"
        file.write_text("whsec_" + base64.b64encode(self.secret).decode())
        file.chmod(0o600)
        self.requests, self.messages, receiver = [], [], self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.requests.append((dict(self.headers), body))
                seen = sum(h["webhook-id"] == self.headers["webhook-id"] for h, _ in receiver.requests)
                if seen > 1:
                    receiver.messages.append(json.loads(body))
                self.send_response(200 if seen > 1 else 500)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.options = ("--webhook", f"http://127.0.0.1:{self.server.server_port}/hook", "--webhook-secret", file)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def check_signatures(self):
        for headers, body in self.requests:
            signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
            right = base64.b64encode(hmac.new(self.secret, signed, hashlib.sha256).digest()).decode()
            assert headers["webhook-signature"] == "v1," + right


@pytest.fixture
def receiver(tmp_path):
    made = Receiver(tmp_path)
    yield made
    made.server.shutdown()


def test_the_audit_log_has_every_change_and_no_secret(qing, root, serve, store, tmp_path):
    shutil.copytree(root / "emotion_analysis/1", root / "emotion_analysis/2")
    a, b = store("a", "predict,admin"), store("b", "predict,admin")
    server = serve("--models", root, "--keys", store.file, "--state", tmp_path / "state")
    call, other = Caller(server.endpoint, a), Caller(server.endpoint, b)
    base = "/v1/admin/models/emotion_analysis"
    changes = [
        ("POST", base + "/load", {"version": 1}, "model.load"),
        ("PUT", base + "/trial", {"version": 2, "share": 0.5}, "trial.set"),
        ("DELETE", base + "/trial", None, "trial.remove"),
        ("PUT", "/v1/admin/aliases/live", {"model": "emotion_analysis"}, "alias.set"),
        ("DELETE", "/v1/admin/aliases/live", None, "alias.remove"),
        ("POST", base + "/load", {"version": 2}, "model.load"),
        ("POST", base + "/rollback", None, "model.rollback"),
        ("POST", "/v1/admin/rescan", None, "models.rescan"),
        ("PUT", base + "/retraining", {"every_hours": 1, "least_texts": 5}, "retraining.set"),
        ("DELETE", base + "/retraining", None, "retraining.remove"),
        ("POST", "/v2/repository/models/emotion_analysis/load", {}, "model.load"),
    ]
    for method, path, body, _ in changes:
        status, answer, _ = call(method, path, body)
        assert status == 200, (path, answer)
    assert other("POST", "/v1/admin/models/none/load", {})[0] == 404
    page = call("GET", "/v1/admin/audit?limit=1000")[1]
    assert [entry["action"] for entry in page["data"]] == [action for *_, action in reversed(changes)]
    assert {entry["key"] for entry in page["data"]} == {a.split(".")[0]}
    assert all(abs(entry["time"] - time.time()) < 100 for entry in page["data"])
    # Pages.
    found, before = [], None
    while True:
        page = call("GET", "/v1/admin/audit?limit=4" + (f"&before={before}" if before else ""))[1]
        found += page["data"]
        if not page["has_more"]:
            break
        before = page["next"]
    assert len(found) == len(changes)
    assert len(call("GET", "/v1/admin/audit?action=trial")[1]["data"]) == 2
    # Another project's entries are its own; a failed change says so.
    theirs = other("GET", "/v1/admin/audit")[1]["data"]
    assert [entry["action"] for entry in theirs] == ["model.load.failed", "model.load"]
    for path in ("?limit=0", "?limit=x", "?before=0", "?limit=1001"):
        assert call("GET", "/v1/admin/audit" + path)[0] == 422, path
    lines = qing("audit", "--state", tmp_path / "state", "--json").stdout.splitlines()
    assert len(lines) == len(changes) + 2
    dump = "\n".join(lines) + (tmp_path / "state/qing.db").read_bytes().decode("latin-1")
    assert a.split(".")[1] not in dump and b.split(".")[1] not in dump
    # A state that cannot be written refuses changes.
    with sqlite3.connect(tmp_path / "state/qing.db") as database:
        database.execute("DROP TABLE audit")
    assert call("POST", base + "/load", {"version": 2})[0] == 500
    assert call("GET", "/v1/models/emotion_analysis")[1]["version"] == "2"


def test_backup_while_the_server_runs(qing, root, serve, tmp_path):
    state = tmp_path / "state"
    server = serve("--models", root, "--state", state)
    call = Caller(server.endpoint)
    _, request = predict(call)
    assert call("POST", "/v1/feedback", {"request_id": request, "label": "neutral"})[0] == 200
    assert call("POST", "/v1/admin/models/emotion_analysis/promote", {"from": "ft-new"})[0] == 200
    qing("backup", "--state", state, "--out", tmp_path / "b.tar")
    qing("restore", tmp_path / "b.tar", "--state", tmp_path / "copy")
    again = Caller(serve("--models", root, "--state", tmp_path / "copy").endpoint)
    assert again("GET", "/v1/models/emotion_analysis")[1]["version"] == "2"
    assert again("GET", "/v1/feedback/summary")[1]["data"][0]["feedback"] == 1
    assert qing("restore", tmp_path / "b.tar", "--state", tmp_path / "copy", check=False).returncode == 1
    assert qing("project", "delete", "default", "--state", tmp_path / "copy", check=False).returncode == 2
    qing("project", "delete", "default", "--state", tmp_path / "copy", "--yes")
    assert again("GET", "/v1/feedback/summary")[1]["data"] == []


def test_feedback_through_the_sdk(root, serve, tmp_path):
    import asyncio

    from maas_sdk import AsyncMaaSClient, MaaSClient, MaaSError

    client = MaaSClient(endpoint=serve("--models", root, "--state", tmp_path / "state").endpoint, batch_size=2)
    emotions = client.get_model("emotion_analysis").predict(TEXTS)
    assert [emotion.request_index for emotion in emotions] == [0, 1, 0] and emotions[0].request_id != emotions[2].request_id
    given = client.feedback.create(emotions[2], "positive", text=TEXTS[2])
    assert given.index == 0 and given.predicted == emotions[2].label and not given.text_kept
    given = client.feedback.create(emotions[1].request_id, "neutral", index=1, text=TEXTS[1], keep_text=True)
    assert given.predicted == emotions[1].label and given.text_kept
    assert client.feedback.summary("emotion_analysis")["data"][0]["feedback"] == 2
    with pytest.raises(MaaSError, match="labels are"):
        client.feedback.create(emotions[0], "happy")
    with pytest.raises(ValueError, match="text="):
        client.feedback.create(emotions[0], "neutral", keep_text=True)

    async def run():
        async with AsyncMaaSClient(endpoint=client.endpoint) as other:
            emotion = await (await other.get_model("emotion_analysis")).predict(TEXTS[0])
            assert (await other.feedback.create(emotion, emotion.label)).agreed
            return await other.feedback.summary()

    assert asyncio.run(run())["data"][0]["feedback"] == 3
