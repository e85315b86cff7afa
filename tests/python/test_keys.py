"""API keys: the command, the service, kills at random moments, and the content of logs and files."""

import http.client
import json
import random
import re
import shutil
import sqlite3
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest
from conftest import ROOT, within
from test_claims import table_rows

KEY = re.compile(r"[0-9a-f]{16}\.[0-9a-f]{64}")


@pytest.fixture
def store(tmp_path):
    return tmp_path / "keys.db"


@pytest.fixture
def keys(qing, store):
    def run(command, *arguments, check=True):
        result = qing("keys", command, "--store", store, "--json", *arguments, check=check)
        return [json.loads(line) for line in result.stdout.splitlines()]

    return run


def ask(endpoint, key, path="/v1/models/emotion_analysis/predict", body='{"texts": ["I love it"]}', method="POST"):
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(endpoint).netloc, timeout=30)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json", "Authorization": f"Bearer {key}"})
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.headers
    finally:
        connection.close()


def check_whole(store):
    with sqlite3.connect(f"file:{store}?mode=ro", uri=True) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []


def test_a_key_through_its_life(qing, store, keys, models_root, serve):
    made = qing("keys", "create", "--store", store, "--name", "小组", "--requests-per-minute", 1000)
    key = made.stdout.removesuffix("\n")
    assert KEY.fullmatch(key), "a script takes the key from stdout"
    assert key[17:] not in made.stderr
    (admin,) = keys("create", "--scopes", "predict,admin", "--expires", "90d")
    server = serve("--models", models_root, "--keys", store)

    def status(which, *rest, **more):
        return ask(server.endpoint, which, *rest, **more)[0]

    assert status(key) == status(admin["key"]) == 200
    assert status("") == status(key[:-1] + ("0" if key[-1] != "0" else "1")) == 401
    assert status(key, "/v1/admin/rescan", "{}") == 403
    assert status(admin["key"], "/v1/admin/rescan", "{}") == 200

    (fresh,) = keys("create", "--requests-per-day", 1)
    assert within(5, lambda: status(fresh["key"], "/v1/models", None, "GET") == 200), "a new key is not seen"
    code, headers = ask(server.endpoint, fresh["key"])
    assert code == 429 and 1 <= int(headers["Retry-After"]) <= 86400

    (rotated,) = keys("rotate", key[:16], "--overlap", "1h")
    assert rotated["id"] == key[:16]
    assert within(5, lambda: status(rotated["key"]) == 200), "a new secret is not seen"
    assert status(key) == 200, "the old one ends before its overlap"
    assert keys("revoke", key[:16]) == [{"id": key[:16], "state": "revoked"}]
    assert within(5, lambda: status(rotated["key"]) == 401), "a revoked key is let in"
    assert status(key) == 401

    assert server.stop()[0] == 0
    (usage,) = keys("usage", admin["id"])
    assert usage["requests"] == 2 and 3 <= usage["tokens"] <= 20
    listed = {row["id"]: row for row in keys("list")}
    assert listed[key[:16]]["state"] == "revoked" and listed[key[:16]]["name"] == "小组"
    assert listed[admin["id"]]["scopes"] == ["predict", "admin"] and listed[admin["id"]]["state"] == "valid"


def test_wrong_commands(qing, store, keys):
    for arguments in (["list"], ["revoke", "0" * 16], ["usage"], ["rotate", "0" * 16]):
        assert qing("keys", *arguments, "--store", store, check=False).returncode == 1
        assert not store.exists()
    (made,) = keys("create")
    for wrong in (["--expires", "0d"], ["--expires", "7"], ["--tokens-per-day", -1], ["--nothing"]):
        assert qing("keys", "create", *wrong, "--store", store, check=False).returncode == 2, wrong
    assert qing("keys", check=False).returncode == 2
    assert qing("keys", "create", "--store", store, "--scopes", "all", check=False).returncode == 1
    refused = qing("keys", "revoke", made["key"], "--store", store, check=False)
    assert refused.returncode == 1 and made["key"][17:] not in refused.stderr
    assert len(keys("list")) == 1


def test_logs_and_files_have_no_secret(qing, store, keys, models_root, serve, tmp_path):
    secrets = [keys("create")[0]["key"], keys("create", "--scopes", "admin")[0]["key"]]
    secrets.append("0" * 16 + "." + "5ec2e7" * 10 + "abcd")
    secrets.append(keys("rotate", secrets[0][:16])[0]["key"])
    server = serve("--models", models_root, "--keys", store)
    for key in secrets:
        ask(server.endpoint, key)
        ask(server.endpoint, key, f"/v1/models?key={key}", None, "GET")
        ask(server.endpoint, key, f"/v1/models/{key}/predict")
        ask(server.endpoint, key, body="{")
        ask(server.endpoint, key, "/v1/admin/models/none/load", "{}")
    code, log = server.stop()
    assert code == 0 and '"status":401' in log and '"status":403' in log and '"status":200' in log
    assert f'"key":"{secrets[0][:16]}"' in log, "an account cannot be traced to its requests"
    files = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"pepper_check" in files
    for key in secrets:
        assert key[17:] not in log
        assert key[17:].encode() not in files and bytes.fromhex(key[17:]) not in files


def test_kills_while_keys_are_made_lose_none(qing, store, keys):
    """Every printed key is in the store, and every key in it is complete. The first kills occur while the store is created."""
    begin = time.monotonic()
    qing("keys", "create", "--store", store.with_name("other.db"))
    whole = time.monotonic() - begin
    rng = random.Random(11)
    printed, killed = [], 0
    for _ in range(150):
        command = [qing.binary, "keys", "create", "--store", store]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        time.sleep(rng.uniform(0, whole))
        process.kill()
        output = process.communicate(timeout=30)[0]
        killed += process.returncode != 0
        if output.endswith("\n"):
            printed.append(output.strip())
    assert killed > 3 and printed
    (last,) = keys("create")
    check_whole(store)
    listed = keys("list")
    assert {key[:16] for key in [*printed, last["key"]]} <= {row["id"] for row in listed}
    assert all(row["secrets"] == 1 for row in listed)


def test_kills_while_accounts_are_kept_lose_a_second_at_most(store, keys, models_root, serve):
    (made,) = keys("create")
    rng = random.Random(12)
    sent, safe = 0, 0  # all requests, and those answered more than a second before a kill
    for _ in range(5):
        server = serve("--models", models_root, "--keys", store)
        answered, stop = [], threading.Event()

        def load():
            connection = http.client.HTTPConnection(urllib.parse.urlsplit(server.endpoint).netloc, timeout=30)
            while not stop.is_set():
                try:
                    answered.append(None)
                    connection.request("GET", "/v1/models", headers={"X-API-Key": made["key"]})
                    response = connection.getresponse()
                    response.read()
                    assert response.status == 200
                    answered[-1] = time.monotonic()
                except (OSError, http.client.HTTPException):
                    return

        thread = threading.Thread(target=load, daemon=True)
        thread.start()
        time.sleep(1 + rng.uniform(0.1, 1))
        killed = time.monotonic()
        server.process.kill()
        server.process.wait(timeout=30)
        stop.set()
        thread.join(timeout=30)
        sent += len(answered)
        safe += sum(1 for at in answered if at is not None and at < killed - 1)
        check_whole(store)
    (usage,) = keys("usage")
    assert 0 < safe <= usage["requests"] <= sent
    assert [row["id"] for row in keys("list")] == [made["id"]]


def test_only_the_listed_routes_are_open(store, keys, models_root, serve):
    keys("create")
    server = serve("--models", models_root, "--keys", store)
    answer = urllib.request.urlopen(server.endpoint + "/openapi.json", timeout=30)
    paths = json.load(answer)["paths"]
    answered = set()
    for path, operations in paths.items():
        for method in operations:
            filled = re.sub(r"\{version\}", "1", re.sub(r"\{\w*[^v]\w*\}", "emotion_analysis", path))
            connection = http.client.HTTPConnection(urllib.parse.urlsplit(server.endpoint).netloc, timeout=30)
            connection.request(method.upper(), filled, "{}", {"Content-Type": "application/json"})
            status = connection.getresponse().status
            connection.close()
            if status != 401:
                answered.add((method, path))
    listed = ("/health/live", "/health/ready", "/v2/health/live", "/v2/health/ready", "/health", "/openapi.json", "/")
    assert answered == {("get", path) for path in listed}
    assert len(paths) > 30


def scope_table():
    """The patterns of routes in the table of docs/security.md, by scope."""
    return {cells[0].strip("`"): re.findall(r"`([^`]+)`", cells[1]) for cells in table_rows("docs/security.md", "scope")}


def in_row(pattern, method, path):
    """Whether a pattern of the table, such as `GET /v1/models…`, is of this route."""
    verb, _, route = pattern.rpartition(" ")
    fits = path.startswith(route[:-1]) if route.endswith("…") else path == route
    return fits and verb in ("", method.upper())


def test_the_table_of_scopes_is_what_the_server_holds_keys_to(store, keys, models_root, serve):
    """A route is asked with a key of each scope. Only that of its own scope is not answered with 403."""
    made = {scope: keys("create", "--scopes", scope)[0]["key"] for scope in ("predict", "metrics", "admin")}
    server = serve("--models", models_root, "--keys", store)
    with urllib.request.urlopen(server.endpoint + "/openapi.json", timeout=30) as answer:
        paths = json.load(answer)["paths"]
    table, used = scope_table(), set()
    assert set(table) == {"none", *made}
    for path, operations in paths.items():
        for method in operations:
            # Names that do not exist, so that nothing is changed.
            filled = re.sub(r"\{version\}", "7", re.sub(r"\{\w*[^v]\w*\}", "nothing", path))
            allowed = {scope for scope, key in made.items() if ask(server.endpoint, key, filled, "{}", method.upper())[0] != 403}
            scope = "none" if allowed == set(made) else next(iter(allowed))
            assert scope == "none" or len(allowed) == 1, (method, path, allowed)
            rows = {name for name, patterns in table.items() for pattern in patterns if in_row(pattern, method, path)}
            assert rows == {scope}, f"docs/security.md lists {method} {path} under {rows}, and the server asks for {scope}"
            used |= {(scope, pattern) for pattern in table[scope] if in_row(pattern, method, path)}
    assert used == {(scope, pattern) for scope, patterns in table.items() for pattern in patterns}, "of no route"


def test_only_administrators_are_told_the_paths_of_the_server(store, keys, models_root, serve, tmp_path):
    root = tmp_path / "models"
    shutil.copytree(models_root, root)
    (root / "emotion_analysis/2").mkdir()  # a version that cannot be loaded
    shutil.copytree(root / "emotion_analysis/2", root / "other/1")
    (reader,), (admin,) = keys("create"), keys("create", "--scopes", "predict,admin")
    server = serve("--models", root, "--keys", store)

    def asked(key, method, path):
        request = urllib.request.Request(
            server.endpoint + path, b"" if method == "POST" else None, {"Authorization": f"Bearer {key['key']}"}
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as refused:
            return refused.read().decode()

    for method, path in (("POST", "/v2/repository/index"), ("GET", "/v1/models"), ("GET", "/v1/models/emotion_analysis")):
        assert str(root) in asked(admin, method, path), path
        told = asked(reader, method, path)
        assert str(root) not in told and "config.json" not in told and "a key with the scope admin is told why" in told, path
    refused = asked(reader, "GET", "/v1/models/other")
    assert "could not be loaded" in refused and str(root) not in refused


def test_a_full_disk_does_not_stop_the_service(qing, small_disk, models_root, serve):
    store = small_disk / "keys.db"
    key = qing("keys", "create", "--store", store).stdout.split()[-1]
    server = serve("--models", models_root, "--keys", store)
    assert ask(server.endpoint, key)[0] == 200
    filler = small_disk / "filler"
    with pytest.raises(OSError), open(filler, "wb", buffering=0) as out:
        while True:
            out.write(bytes(4096))
    sent = 1
    end = time.monotonic() + 60
    while "key_store_failed" not in server.logged():
        assert time.monotonic() < end
        assert ask(server.endpoint, key)[0] == 200
        sent += 1
        time.sleep(0.05)
    for _ in range(5):
        assert ask(server.endpoint, key)[0] == 200
        sent += 1
    filler.unlink()
    while sum(json.loads(line)["requests"] for line in qing("keys", "usage", "--store", store, "--json").stdout.splitlines()) < sent:
        assert time.monotonic() < end
        time.sleep(0.2)  # usage in memory is written when there is room again
    assert server.stop()[0] == 0


def test_the_store_waits_for_the_disk():
    """A test cannot cut the power, so it checks the source for the setting that makes SQLite wait for the disk."""
    source = (ROOT / "serve/keys/key_store.cpp").read_text(encoding="utf-8")
    assert "PRAGMA synchronous=FULL" in source and not re.search(r"synchronous=(OFF|NORMAL)", source)


def test_secrets_are_compared_in_constant_time():
    """Times are too noisy, so it checks in the source that OpenSSL compares every digest."""
    for name in ("api_keys.cpp", "key_guard.cpp", "key_store.cpp"):
        source = (ROOT / "serve/keys" / name).read_text(encoding="utf-8")
        assert not re.search(r"(?<!CRYPTO_)memcmp\(|digest\w*(\[\w+\])? [!=]= |std::(ranges::)?equal\(", source), name
    for name in ("api_keys.cpp", "key_guard.cpp"):
        assert "CRYPTO_memcmp(" in (ROOT / "serve/keys" / name).read_text(encoding="utf-8")
