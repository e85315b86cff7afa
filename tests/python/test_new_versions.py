"""POST /v1/admin/models/{name}/versions: versions as tar and zip archives."""

import contextlib
import errno
import gzip
import hashlib
import http.client
import io
import json
import os
import shutil
import signal
import tarfile
import time
import urllib.parse
import zipfile

import pytest
from conftest import RunningServer, ask, small_training, synthetic_rows, within, write_tsv

ADMIN = "/v1/admin/models"
MODEL = "emotion_analysis"


def files_of(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def tar_of(files, mode="w:", top=""):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(top + name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def zip_of(files, top=""):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(top + name, content)
    return out.getvalue()


def upload(url, archive, name=MODEL, query="", kind="application/x-tar"):
    return ask(f"{url}{ADMIN}/{name}/versions{query}", archive, {"Content-Type": kind})


def answered_by(url, name=MODEL):
    body = ask(f"{url}/v1/models/{name}/predict", {"text": "I love this film"})[2]
    assert body["predictions"][0]["label"] == "positive"
    return body["version"]


def left_in(state):
    """What uploads have left in a state folder besides versions."""
    drafts = [path.name for path in state.glob("unpacked-*")]
    files = [path.name for path in (state / "files").glob("*")] if (state / "files").exists() else []
    hidden = [path.name for path in state.glob("models/*/.*") if not path.name.startswith(".registry")]
    return drafts + files + hidden


@pytest.fixture
def running(models_root, serve, tmp_path):
    """A server on a copy of the models, and its state folder."""
    root = shutil.copytree(models_root, tmp_path / "models")
    state = tmp_path / "state"
    return serve("--models", root, "--state", state), state


@pytest.mark.parametrize("query", ["", "?activate=true"])
def test_a_version_that_cannot_be_kept_is_not_listed(models_root, model_dir, failing, serve, tmp_path, query):
    root, state = shutil.copytree(models_root, tmp_path / "models"), tmp_path / "state"
    failing("unlink", errno.EIO, "/.promoting-")
    url = serve("--models", root, "--state", state).endpoint
    status, _, answer = upload(url, tar_of(files_of(model_dir)), query=query)
    assert status == 500, answer
    assert ask(f"{url}/v1/models/{MODEL}")[2]["versions"] == ["1"]
    assert answered_by(url) == "1" and not (state / f"models/{MODEL}/2").exists()


def test_other_labels_answer_only_when_the_operator_says_so(qing, running, tmp_path):
    server, state = running
    url = server.endpoint
    rows = [(label.replace("neutral", "mixed"), text) for label, text in synthetic_rows(60)]
    qing(*small_training(write_tsv(tmp_path / "d.tsv", rows), tmp_path / "other", "--max-steps", 1))
    archive = tar_of(files_of(tmp_path / "other"))
    status, _, refused = upload(url, archive, query="?activate=true")
    assert (status, refused["code"]) == (422, "other_labels"), refused
    for words in ("version 2", "the labels " + ", ".join(["mixed", "negative", "positive"]), "version 1", "negative, neutral, positive", "replace_labels"):
        assert words in refused["error"], refused
    assert answered_by(url) == "1" and left_in(state) == [] and ask(f"{url}/v1/models/{MODEL}")[2]["versions"] == ["1"]
    assert upload(url, archive)[2]["active"] is False, "beside the version that answers it may lie"
    for body in ({"version": 2}, {}, {"version": 2, "replace_labels": False}):
        status, _, refused = ask(f"{url}{ADMIN}/{MODEL}/load", body)
        assert (status, refused["code"]) == (422, "other_labels"), (body, refused)
    status, _, refused = ask(f"{url}/v2/repository/models/{MODEL}/load", {})
    assert status == 422 and "replace_labels" in str(refused), refused
    assert answered_by(url) == "1"
    assert ask(f"{url}{ADMIN}/{MODEL}/load", {"version": 2, "replace_labels": True})[2]["version"] == "2"
    assert ask(f"{url}{ADMIN}/{MODEL}/rollback", {})[2]["version"] == "1", "a return needs no word"
    status, _, made = upload(url, archive, query="?activate=true&replace_labels=true")
    assert status == 200 and made["active"] is True
    assert upload(url, archive, query="?replace_labels=maybe")[0] == 422


def test_a_published_version_of_other_labels_waits(qing, models_root, serve, tmp_path):
    root = shutil.copytree(models_root, tmp_path / "models")
    rows = [(label.replace("neutral", "mixed"), text) for label, text in synthetic_rows(60)]
    qing(*small_training(write_tsv(tmp_path / "d.tsv", rows), tmp_path / "other", "--max-steps", 1))
    server = serve("--models", root)
    shutil.copytree(tmp_path / "other", root / MODEL / "2")
    for _ in range(2):
        failed = ask(server.endpoint + "/v1/admin/rescan", {})[2]["failed"]
        assert "version 2: gives the labels mixed" in failed[MODEL] and "replace_labels" in failed[MODEL], failed
        assert answered_by(server.endpoint) == "1"
    listed = next(each for each in ask(server.endpoint + ADMIN)[2]["models"] if each["name"] == MODEL)
    assert {each["version"]: each["state"] for each in listed["versions"]} == {"1": "active", "2": "failed"}, listed
    index = ask(server.endpoint + "/v2/repository/index", {})[2]
    assert [each["state"] for each in index if each["name"] == MODEL] == ["READY", "UNAVAILABLE"], index
    server.stop()
    again = serve("--models", root)
    assert answered_by(again.endpoint) == "1", "nor does a restart change the labels"
    assert ask(f"{again.endpoint}{ADMIN}/{MODEL}/load", {"version": 2, "replace_labels": True})[0] == 200
    again.stop()
    assert ask(f"{serve('--models', root).endpoint}/v1/models/{MODEL}")[2]["version"] == "2", "what was chosen stays"


def test_a_tar_that_is_cut_between_two_files_is_refused(running, model_dir):
    server, state = running
    whole = tar_of(files_of(model_dir))
    assert tarfile.open(fileobj=io.BytesIO(whole)).getmembers()
    end = max(member.offset_data + -(-member.size // 512) * 512 for member in tarfile.open(fileobj=io.BytesIO(whole)).getmembers())
    for cut in (end, end + 512, whole.index(b"tokenizer_config.json") // 512 * 512):
        for archive in (whole[:cut], gzip.compress(whole[:cut])):
            status, _, refused = upload(server.endpoint, archive)
            assert (status, refused["code"]) == (422, "not_loaded") and "incomplete" in refused["error"], (cut, refused)
            assert left_in(state) == []
    for archive in (whole[: end + 1024], gzip.compress(whole[: end + 1024])):
        assert upload(server.endpoint, archive)[0] == 200, "two blocks of zeros end a tar"


def test_a_bad_name_is_refused_before_its_archive_comes(running):
    server, _ = running
    host, port = urllib.parse.urlsplit(server.endpoint).netloc.split(":")
    with contextlib.closing(http.client.HTTPConnection(host, int(port), timeout=30)) as connection:
        connection.putrequest("POST", f"{ADMIN}/bad%20name/versions")
        connection.putheader("Content-Type", "application/x-tar")
        connection.putheader("Content-Length", str(100 << 20))
        connection.endheaders(b"x" * 512)  # the rest of the archive never comes
        refused = connection.getresponse()
        assert refused.status == 422 and b"name: use 1 to 128" in refused.read()


def test_no_error_names_a_place_on_the_server(running, model_dir):
    server, state = running
    files = files_of(model_dir)
    for change in ({"config.json": b"{"}, {"model.safetensors": b"x"}, {"tokenizer.json": b"[]", "vocab.txt": b""}):
        status, _, refused = upload(server.endpoint, tar_of({**files, **change}))
        assert status == 422 and refused["error"].endswith("; nothing has changed"), refused
        assert str(state) not in refused["error"] and "unpacked-" not in refused["error"], refused
    del files["model.safetensors"]
    status, _, refused = upload(server.endpoint, tar_of(files))
    assert status == 422 and str(state) not in refused["error"], refused


def test_versions_come_in_every_form_and_answer_when_asked_to(running, model_dir):
    server, state = running
    url, files = server.endpoint, files_of(model_dir)
    forms = [tar_of(files), gzip.compress(tar_of(files, top="3/")), zip_of(files), zip_of({**files, "__MACOSX/._config.json": b"x"}, top="mood/")]
    forms[3] = zip_of({"mood/" + name: content for name, content in files.items()} | {"__MACOSX/mood/._config.json": b"x"})
    for i, archive in enumerate(forms):
        status, _, made = upload(url, archive)
        assert (status, made["model"], made["version"], made["active"]) == (200, MODEL, str(i + 2), False), made
        assert made["files"] == len(files) and made["bytes"] == sum(map(len, files.values()))
        assert made["sha256"] == hashlib.sha256(archive).hexdigest()
        assert answered_by(url) == "1", "a version answers only when it is asked to"
        stored = files_of(state / "models" / MODEL / made["version"])
        assert {name: stored[name] for name in files} == files
    assert ask(f"{url}/v1/models/{MODEL}")[2]["versions"] == ["1", "2", "3", "4", "5"]
    ask(url + "/v1/admin/rescan", {})
    assert answered_by(url) == "1", "nor when the folders are looked at again"
    assert ask(f"{url}{ADMIN}/{MODEL}/trial", {"version": 5, "share": 1}, method="PUT")[0] == 200
    assert answered_by(url) == "5"
    ask(f"{url}{ADMIN}/{MODEL}/trial", method="DELETE")
    assert ask(f"{url}{ADMIN}/{MODEL}/load", {"version": 3})[2]["version"] == "3" and answered_by(url) == "3"
    # Or at once.
    assert upload(url, forms[0], query="?activate=true")[2]["active"] is True
    assert answered_by(url) == "6"
    # A new model answers, because nothing else does.
    status, _, made = upload(url, forms[2], name="spam", kind="application/zip")
    assert (status, made["version"], made["active"]) == (200, "1", True) and answered_by(url, "spam") == "1"
    audit = ask(url + "/v1/admin/audit?limit=100")[2]["data"]
    assert [entry["object"] for entry in audit if entry["action"] == "model.upload"] == ["spam"] + [MODEL] * 5
    assert left_in(state) == []


def test_a_restart_knows_the_versions(qing, models_root, model_dir, tmp_path):
    root = shutil.copytree(models_root, tmp_path / "models")
    options = ["--port", 0, "--models", root, "--state", tmp_path / "state"]
    server = RunningServer(qing.binary, *options)
    assert upload(server.endpoint, tar_of(files_of(model_dir)))[0] == 200
    assert server.stop()[0] == 0
    server = RunningServer(qing.binary, *options)
    assert answered_by(server.endpoint) == "1"
    assert ask(f"{server.endpoint}/v1/models/{MODEL}")[2]["versions"] == ["1", "2"]
    assert server.stop()[0] == 0


def entry(name, kind=tarfile.REGTYPE, link="", content=b""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, len(content)
    return info, content


def tar_with(*entries, files=()):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:", format=tarfile.GNU_FORMAT) as archive:
        for info, content in [*entries, *(entry(name, content=content) for name, content in dict(files).items())]:
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def hostile(files):
    """Archives that must be refused, by what is wrong."""
    password = bytearray(zip_of({"config.json": b"{}"}))
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # the flag of an encrypted file
        password[password.index(signature) + flags] |= 1
    return {
        "a path upwards": tar_with(entry("../evil", content=b"x"), files=files),
        "a path upwards, inside": tar_with(entry("run/../../evil", content=b"x"), files=files),
        "an absolute path": tar_with(entry("/tmp/evil", content=b"x"), files=files),
        "a path upwards in a zip": zip_of({**files, "../evil": b"x"}),
        "a path of Windows": zip_of({**files, "..\\evil": b"x"}),
        "a drive": zip_of({**files, "C:evil": b"x"}),
        "a symbolic link": tar_with(entry("link", tarfile.SYMTYPE, "/etc/passwd"), files=files),
        "a link, and a file through it": tar_with(entry("run2", tarfile.SYMTYPE, "/tmp"), entry("run2/evil", content=b"x"), files=files),
        "a hard link": tar_with(entry("link", tarfile.LNKTYPE, "/etc/passwd"), files=files),
        "a device": tar_with(entry("null", tarfile.CHRTYPE), files=files),
        "a pipe": tar_with(entry("pipe", tarfile.FIFOTYPE), files=files),
        "a file twice": tar_with(entry("config.json", content=b"{}"), files=files),
        "a file that is also a folder": tar_with(entry("vocab.txt/x", content=b"x"), files=files),
        "control characters": tar_with(entry("a\nb", content=b"x"), files=files),
        "a long name": tar_with(entry("x" * 300, content=b"x"), files=files),
        "too many entries": tar_of({f"file-{i}": b"" for i in range(5000)}),
        "too many folders": tar_of({"/".join([str(i), *["d"] * 400, "f"]): b"" for i in range(12)}),
        "a bomb that is left out": gzip.compress(tar_of({**files, "__MACOSX/zeros": bytes(64 << 20)})),
        "no archive": b"I love this film" * 1000,
        "nothing": b"",
        "an empty archive": tar_of({}),
        "half an archive": tar_of(files)[: sum(map(len, files.values())) // 2],
        "a password": bytes(password),
        "a bomb": gzip.compress(tar_of({**files, "zeros": bytes(64 << 20)})),
        "a bomb in a zip": zip_of({**files, "zeros": bytes(64 << 20)}),
        "no model": tar_of({"readme": b"x"}),
        "weights that are none": tar_of({**files, "model.safetensors": b"x" * 100}),
        "a manifest that does not fit": tar_of({**files, "manifest.json": json.dumps({"sha256": {"config.json": "0" * 64}}).encode()}),
    }


def test_hostile_archives_are_refused_and_leave_nothing(models_root, model_dir, serve, tmp_path):
    root = shutil.copytree(models_root, tmp_path / "models")
    state = tmp_path / "state"
    server = serve("--models", root, "--state", state, "--model-bytes", 32 << 20)
    files = files_of(model_dir)
    for what, archive in hostile(files).items():
        status, _, body = upload(server.endpoint, archive)
        assert status == 422, (what, status, body)
        assert "evil" not in body["error"] and len(body["error"]) < 1000
        assert left_in(state) == [], what
    assert not (tmp_path / "evil").exists() and not (state / "evil").exists() and not os.path.exists("/tmp/evil")
    model = ask(f"{server.endpoint}/v1/models/{MODEL}")[2]
    assert model["versions"] == ["1"] and "error" not in model and answered_by(server.endpoint) == "1"
    for name, query, status in ((".hidden", "", 422), ("a%2Fb", "", 422), (MODEL, "?activate=1", 422), (MODEL, "?other=1", 422)):
        assert upload(server.endpoint, tar_of(files), name=name, query=query)[0] == status, (name, query)
    assert "evil" not in server.logged()
    assert upload(server.endpoint, tar_of(files))[0] == 200, "a good one is still taken"


def test_sizes_are_bounded_and_so_is_memory(models_root, model_dir, serve, tmp_path):
    root = shutil.copytree(models_root, tmp_path / "models")
    server = serve("--models", root, "--state", tmp_path / "state", "--file-bytes", 64 << 20)
    archive = tar_of({**files_of(model_dir), "zeros": bytes(65 << 20)})
    status = upload(server.endpoint, archive)[0]
    assert status == 413
    most = tar_of({**files_of(model_dir), "random": os.urandom(60 << 20)})

    def resident():
        text = ask(server.endpoint + "/metrics")[2].decode()
        return int(float(text.split("\nqing_resident_memory_bytes ")[1].split("\n")[0]))

    before = resident()
    assert upload(server.endpoint, most)[0] == 200
    # The model is loaded twice, which takes a few megabytes. The archive and its 60 MB do not.
    assert resident() - before < 30 << 20


def test_a_client_that_leaves_leaves_nothing(running, model_dir):
    server, state = running
    address = urllib.parse.urlsplit(server.endpoint)
    archive = tar_of(files_of(model_dir))
    for end in (1, len(archive) // 2, len(archive) - 1):
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=30)
        connection.putrequest("POST", f"{ADMIN}/{MODEL}/versions")
        connection.putheader("Content-Length", str(len(archive)))
        connection.endheaders()
        connection.send(archive[:end])
        time.sleep(0.2)
        connection.close()
    assert within(10, lambda: left_in(state) == [])
    assert ask(f"{server.endpoint}/v1/models/{MODEL}")[2]["versions"] == ["1"]


def test_a_kill_leaves_whole_versions_only(qing, models_root, model_dir, tmp_path):
    root = shutil.copytree(models_root, tmp_path / "models")
    state = tmp_path / "state"
    archive = tar_of({**files_of(model_dir), "random": os.urandom(8 << 20)})
    options = ["--port", 0, "--models", root, "--state", state]
    for wait in (0.02, 0.1, 0.2, 0.4):
        server = RunningServer(qing.binary, *options)
        address = urllib.parse.urlsplit(server.endpoint)
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=30)
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection.request("POST", f"{ADMIN}/{MODEL}/versions", archive)
            time.sleep(wait)
            server.process.send_signal(signal.SIGKILL)
            connection.getresponse().read()
        server.process.wait(timeout=30)
        connection.close()
    server = RunningServer(qing.binary, *options)
    for version in ask(f"{server.endpoint}/v1/models/{MODEL}")[2]["versions"]:
        assert ask(f"{server.endpoint}{ADMIN}/{MODEL}/load", {"version": int(version)})[0] == 200
    assert not list(state.glob("unpacked-*")) and not list(state.glob("models/*/.promoting*"))
    assert server.stop()[0] == 0


def test_only_administrators_upload(qing, models_root, model_dir, serve, tmp_path):
    root = shutil.copytree(models_root, tmp_path / "models")
    store = tmp_path / "keys.db"
    keys = {scope: qing("keys", "create", "--store", store, "--scopes", scope).stdout.strip() for scope in ("predict", "admin")}
    server = serve("--models", root, "--state", tmp_path / "state", "--keys", store)
    archive = tar_of(files_of(model_dir))
    for scope, status in (("predict", 403), ("admin", 200)):
        headers = {"X-API-Key": keys[scope], "Content-Type": "application/x-tar"}
        assert ask(f"{server.endpoint}{ADMIN}/{MODEL}/versions", archive, headers)[0] == status
    page = {"X-API-Key": keys["admin"], "Content-Type": "application/x-tar", "Origin": "https://other.example"}
    assert ask(f"{server.endpoint}{ADMIN}/{MODEL}/versions", archive, page)[0] == 403


def test_a_server_without_a_state_takes_none(models_root, serve, model_dir):
    server = serve("--models", models_root, "--state", "")
    status, _, body = upload(server.endpoint, tar_of(files_of(model_dir)))
    assert status == 404 and body["code"] == "no_state"


def test_the_list_of_what_is_loaded(running, model_dir):
    server, _ = running
    url, archive = server.endpoint, tar_of(files_of(model_dir))
    upload(url, archive)
    upload(url, archive)
    upload(url, archive, name="spam")
    ask(f"{url}{ADMIN}/spam/unload", method="POST")
    ask(f"{url}{ADMIN}/{MODEL}/trial", {"version": 2, "share": 0.5}, method="PUT")
    ask(url + "/v1/admin/aliases/old", {"model": MODEL, "version": 1}, method="PUT")
    for i in range(20):
        ask(f"{url}/v1/models/{MODEL}/predict", {"text": f"I love film {i}"})
    listed = ask(url + ADMIN)[2]
    own, spam = listed["models"]
    assert (own["name"], own["state"], own["version"], own["trial"]["version"]) == (MODEL, "ready", "1", "2")
    assert own["aliases"] == [{"name": "old", "version": "1"}]
    assert [(one["version"], one["state"]) for one in own["versions"]] == [("1", "active"), ("2", "canary"), ("3", "on_disk")]
    assert sum(one.get("requests", 0) for one in own["versions"]) == 20 and all(one["failed"] == 0 for one in own["versions"][:2])
    assert all(0 < one["mean_seconds"] < 10 and one["precision"] == "f32" for one in own["versions"][:2])
    weights = os.path.getsize(model_dir / "model.safetensors")
    assert weights * 0.9 < own["versions"][0]["weight_bytes"] < weights * 3
    assert listed["weight_bytes"] == sum(one["weight_bytes"] for one in own["versions"][:2]) < listed["resident_bytes"]
    assert (spam["name"], spam["state"], spam["versions"][0]["state"]) == ("spam", "unloaded", "unloaded")


def test_metrics_name_the_build_and_the_start(running):
    server, _ = running
    text = ask(server.endpoint + "/metrics")[2].decode()
    version = text.split('\nqing_build_info{version="')[1].split('"')[0]
    assert text.split(f'\nqing_build_info{{version="{version}"}} ')[1].startswith("1\n") and version.count(".") == 2
    started = float(text.split("\nprocess_start_time_seconds ")[1].split("\n")[0])
    # The machine's start is known to the second.
    assert time.time() - 120 < started < time.time() + 2
