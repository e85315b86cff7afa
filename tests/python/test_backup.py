"""Backups of a running service and what a restore brings back (docs/security.md, docs/service.md)."""

import json
import os
import random
import shutil
import signal
import sqlite3
import stat
import subprocess
import threading
import time
import urllib.request

import pytest
from conftest import RunningServer, small_training, synthetic_rows, within, write_tsv
from test_keys import ask, check_whole


@pytest.fixture
def store(tmp_path):
    folder = tmp_path / "live"
    folder.mkdir()
    return folder / "keys.db"


@pytest.fixture
def keys(qing):
    def run(command, store, *arguments, check=True):
        result = qing("keys", command, "--store", store, "--json", *arguments, check=check)
        return [json.loads(line) for line in result.stdout.splitlines()]

    return run


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def content(path):
    """Returns every row of every table, without changing the file."""
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
        tables = [row[0] for row in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")]
        return {table: sorted(database.execute(f"SELECT * FROM {table}")) for table in tables}


def beside(path):
    return sorted(entry.name for entry in path.parent.iterdir() if entry.name.startswith(path.name))


def test_a_backup_has_the_latest_changes_and_a_plain_copy_does_not(qing, keys, store, models_root, serve, tmp_path):
    old = keys("create", store)[0]["key"]
    server = serve("--models", models_root, "--keys", store)
    assert ask(server.endpoint, old)[0] == 200
    fresh = keys("create", store, "--name", "made while it runs", "--requests-per-day", 7)[0]["key"]
    rotated = keys("rotate", store, fresh[:16], "--overlap", "1h")[0]["key"]
    keys("revoke", store, old[:16])

    plain, backup = tmp_path / "plain.db", tmp_path / "backup.db"
    for suffix in ("", ".pepper"):
        shutil.copy2(f"{store}{suffix}", f"{plain}{suffix}")
    qing("keys", "backup", backup, "--store", store)
    assert beside(backup) == ["backup.db", "backup.db.pepper"]
    assert mode(backup) == mode(backup.with_name("backup.db.pepper")) == 0o600
    here = content(store)
    assert content(backup) == {**here, "usage": content(backup)["usage"]}

    # A copy of the file alone loses the new key and accepts the revoked one again.
    lost = {row["id"]: row["state"] for row in keys("list", plain)}
    assert lost == {old[:16]: "valid"}

    restored = tmp_path / "restored" / "keys.db"
    restored.parent.mkdir()
    qing("keys", "restore", backup, "--store", restored)
    assert mode(restored) == mode(restored.with_name("keys.db.pepper")) == 0o600
    assert keys("list", restored) == keys("list", store)
    check_whole(restored)
    other = serve("--models", models_root, "--keys", restored)
    assert [ask(other.endpoint, key)[0] for key in (old, fresh, rotated)] == [401, 200, 200]


def test_a_store_is_restored_under_a_running_server(qing, keys, store, models_root, serve, tmp_path):
    kept, revoked = (keys("create", store)[0]["key"] for _ in range(2))
    backup = tmp_path / "backup.db"
    qing("keys", "backup", backup, "--store", store)
    server = serve("--models", models_root, "--keys", store)
    later = keys("create", store)[0]["key"]
    keys("revoke", store, revoked[:16])
    status = lambda key: ask(server.endpoint, key)[0]  # noqa: E731
    assert within(5, lambda: status(later) == 200 and status(revoked) == 401)

    refused = qing("keys", "restore", backup, "--store", store, check=False)
    assert refused.returncode == 1 and "--overwrite" in refused.stderr
    assert status(later) == 200
    qing("keys", "restore", backup, "--store", store, "--overwrite")
    assert within(5, lambda: status(later) == 401), "a key of after the backup is let in"
    assert status(kept) == 200 and status(revoked) == 200
    (another,) = keys("create", store)
    assert within(5, lambda: status(another["key"]) == 200), "the server does not follow the store any more"
    assert '"key_store_failed"' not in server.stop()[1]
    check_whole(store)


def test_an_existing_backup_is_replaced_only_with_overwrite(qing, keys, store, tmp_path):
    keys("create", store)
    backup = tmp_path / "backup.db"
    qing("keys", "backup", backup, "--store", store)
    first = backup.read_bytes()
    keys("create", store)
    refused = qing("keys", "backup", backup, "--store", store, check=False)
    assert refused.returncode == 1 and "--overwrite" in refused.stderr and backup.read_bytes() == first
    qing("keys", "backup", backup, "--store", store, "--overwrite")
    assert len(content(backup)["keys"]) == 2 and beside(backup) == ["backup.db", "backup.db.pepper"]
    # The backup of another store is not replaced even with --overwrite, because its pepper would be lost.
    other = tmp_path / "other.db"
    keys("create", other)
    pepper = backup.with_name("backup.db.pepper").read_bytes()
    whole = backup.read_bytes()
    refused = qing("keys", "backup", backup, "--store", other, "--overwrite", check=False)
    assert refused.returncode == 1 and "another store" in refused.stderr
    assert backup.with_name("backup.db.pepper").read_bytes() == pepper and backup.read_bytes() == whole
    # The content of another store is not replaced either.
    refused = qing("keys", "restore", backup, "--store", other, "--overwrite", check=False)
    assert refused.returncode == 1 and "another store" in refused.stderr and len(keys("list", other)) == 1
    assert qing("keys", "backup", store, "--store", store, "--overwrite", check=False).returncode == 1
    assert len(keys("list", store)) == 2
    for name in beside(backup) + beside(other) + beside(store):
        assert "draft" not in name


@pytest.mark.parametrize("without_pepper", [False, True])
@pytest.mark.parametrize("there", ["another store's backup", "a text", "a database", "a folder"])
def test_only_a_backup_of_the_same_store_is_replaced(qing, keys, store, tmp_path, there, without_pepper):
    """This also holds if there is no FILE.pepper that identifies the store of the backup."""
    keys("create", store)
    backup, other = tmp_path / "backup.db", tmp_path / "other.db"
    if there == "another store's backup":
        keys("create", other)
        qing("keys", "backup", backup, "--store", other, "--without-pepper")
    elif there == "a text":
        backup.write_text("my notes\n")
    elif there == "a database":
        sqlite3.connect(backup).execute("CREATE TABLE notes (text)").connection.close()
    else:
        backup.mkdir()
    before = None if there == "a folder" else backup.read_bytes()
    options = ["--without-pepper"] if without_pepper else []
    refused = qing("keys", "backup", backup, "--store", store, "--overwrite", *options, check=False)
    assert refused.returncode == 1 and str(backup) in refused.stderr and "give another name" in refused.stderr
    assert beside(backup) == ["backup.db"]
    if before is None:
        return
    assert backup.read_bytes() == before
    # The backup of the same store is replaced, with or without its pepper beside it.
    own = tmp_path / "own.db"
    qing("keys", "backup", own, "--store", store, *options)
    keys("create", store)
    qing("keys", "backup", own, "--store", store, "--overwrite", *options)
    assert len(content(own)["keys"]) == 2


def test_the_pepper_can_be_kept_apart(qing, keys, store, tmp_path):
    key = keys("create", store)[0]["key"]
    pepper = tmp_path / "apart"
    shutil.copy2(f"{store}.pepper", pepper)
    backup = tmp_path / "backup.db"
    qing("keys", "backup", backup, "--store", store, "--without-pepper")
    assert beside(backup) == ["backup.db"]
    restored = tmp_path / "restored.db"
    refused = qing("keys", "restore", backup, "--store", restored, check=False)
    assert refused.returncode == 1 and "pepper" in refused.stderr and beside(restored) == []
    # A pepper beside the store is found.
    qing("keys", "restore", backup, "--store", store, "--overwrite")
    qing("keys", "restore", backup, "--store", restored, "--pepper", pepper)
    assert keys("list", restored) == keys("list", store) and keys("list", restored)[0]["id"] == key[:16]
    keys("create", tmp_path / "other.db")
    third = tmp_path / "third.db"
    refused = qing("keys", "restore", backup, "--store", third, "--pepper", tmp_path / "other.db.pepper", check=False)
    assert refused.returncode == 1 and "pepper" in refused.stderr and beside(third) == []
    os.chmod(pepper, 0o644)
    refused = qing("keys", "restore", backup, "--store", third, "--pepper", pepper, check=False)
    assert refused.returncode == 1 and "chmod" in refused.stderr and beside(third) == []


def test_damaged_backups_are_refused_before_anything_changes(qing, keys, store, tmp_path):
    keys("create", store)
    with sqlite3.connect(store) as database:  # several pages of accounts, so that a page can be damaged
        database.executemany("INSERT INTO usage VALUES(?, ?, 1, 1)", [(f"{i:016x}", i % 90) for i in range(4000)])
    backup = tmp_path / "backup.db"
    qing("keys", "backup", backup, "--store", store)
    before, whole = content(store), backup.read_bytes()
    rng = random.Random(3)
    damaged = [b"", b"no database", whole[: len(whole) // 2], whole[:100], bytes(len(whole))]
    middle = bytearray(whole)
    for page in range(4, len(whole) // 4096):
        middle[page * 4096 : page * 4096 + 64] = rng.randbytes(64)
    damaged.append(bytes(middle))
    for content_bytes in damaged:
        backup.write_bytes(content_bytes)
        refused = qing("keys", "restore", backup, "--store", store, "--overwrite", check=False)
        assert refused.returncode == 1 and str(backup) in refused.stderr, refused.stderr
        assert content(store) == before
        refused = qing("keys", "restore", backup, "--store", tmp_path / "new.db", check=False)
        assert refused.returncode == 1 and beside(tmp_path / "new.db") == []
    with sqlite3.connect(tmp_path / "foreign.db") as database:
        database.execute("CREATE TABLE store(pepper_check)")
    shutil.copy2(f"{store}.pepper", tmp_path / "foreign.db.pepper")
    refused = qing("keys", "restore", tmp_path / "foreign.db", "--store", store, "--overwrite", check=False)
    assert refused.returncode == 1 and "not a key store" in refused.stderr and content(store) == before


def test_a_log_without_its_database_is_refused(qing, keys, store, models_root, serve, tmp_path):
    backup = tmp_path / "backup.db"
    keys("create", store)
    qing("keys", "backup", backup, "--store", store)
    serve("--models", models_root, "--keys", store)
    keys("create", store)
    copy = tmp_path / "copy.db"
    shutil.copy2(f"{store}-wal", f"{copy}-wal")
    refused = qing("keys", "restore", backup, "--store", copy, check=False)
    assert refused.returncode == 1 and "-wal" in refused.stderr and not copy.exists()
    (copy.with_name("copy.db-wal")).unlink()
    qing("keys", "restore", backup, "--store", copy)
    assert len(keys("list", copy)) == 1


def test_commands_print_no_key_and_no_pepper(qing, keys, store, tmp_path):
    key = keys("create", store)[0]["key"]
    said = qing("keys", "backup", tmp_path / "b", "--store", store), qing("keys", "restore", tmp_path / "b", "--store", tmp_path / "r")
    pepper = (tmp_path / "b.pepper").read_bytes()
    files = (tmp_path / "b").read_bytes()
    for result in said:
        assert result.stdout == result.stderr == ""
    assert key[17:].encode() not in files and bytes.fromhex(key[17:]) not in files and pepper not in files


def test_backups_under_load_are_whole_and_ordered(qing, keys, store, models_root, serve, tmp_path):
    """Each backup has all keys that were printed before it began, and no incomplete change."""
    printed, stop = [keys("create", store)[0]["id"]], threading.Event()
    serve("--models", models_root, "--keys", store)

    def make():
        while not stop.is_set():
            made = keys("create", store)[0]["id"]
            printed.append(made)
            if len(printed) % 3 == 0:
                keys("revoke", store, made)

    thread = threading.Thread(target=make, daemon=True)
    thread.start()
    try:
        for i in range(8):
            before = list(printed)
            qing("keys", "backup", tmp_path / f"{i}.db", "--store", store)
            check_whole(tmp_path / f"{i}.db")
            held = content(tmp_path / f"{i}.db")
            assert set(before) <= {row[1] for row in held["keys"]}
            # A revoked key has no secret, and any other key has one: a change is there completely or not at all.
            secrets = {row[0] for row in held["secrets"]}
            assert all((row[10] != 0) == (row[1] not in secrets) for row in held["keys"])
    finally:
        stop.set()
        thread.join(timeout=60)


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_kills_leave_the_old_or_the_new_backup(qing, keys, store, tmp_path, command):
    first, backup = tmp_path / "first.db", tmp_path / "backup.db"
    keys("create", store)
    qing("keys", "backup", first, "--store", store)
    keys("create", store)
    qing("keys", "backup", backup, "--store", store)
    shutil.copy2(backup, tmp_path / "second.db")
    new = {"backup": 2, "restore": 1}[command]
    target = backup if command == "backup" else store
    source = backup if command == "backup" else first
    arguments = ["keys", command, source, "--store", store, "--overwrite"]
    began = time.monotonic()
    qing(*arguments)
    whole = time.monotonic() - began
    rng = random.Random(5)
    seen = []
    for _ in range(40):
        if command == "backup":
            shutil.copy2(first, backup)
        else:
            qing("keys", "restore", tmp_path / "second.db", "--store", store, "--overwrite")
        process = subprocess.Popen([qing.binary, *map(str, arguments)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(rng.uniform(0, 1.5 * whole))
        process.kill()
        code = process.wait(timeout=30)
        check_whole(target)
        seen.append(len(content(target)["keys"]))
        assert seen[-1] in (1, 2) and (code != 0 or seen[-1] == new)
    assert seen.count(new) > 0
    qing(*arguments)
    left = [path.name for folder in {tmp_path, store.parent} for path in folder.iterdir() if ".draft-" in path.name]
    assert not left, "the next command removes what killed ones have left"


# --- the other files ---


def test_a_copy_of_the_models_while_they_change_is_served(qing, model_dir, tmp_path, serve):
    """The choices are copied first and then the folders, so the copy has every version that the choices name."""
    root = tmp_path / "models"
    for version in (1, 2, 3):
        shutil.copytree(model_dir, root / f"mood/{version}")
    server = serve("--models", root)
    chosen, stop, failures = [], threading.Event(), []

    def admin(path, body):
        request = urllib.request.Request(server.endpoint + path, json.dumps(body).encode(), {"Content-Type": "application/json"},
                                         method="PUT" if "aliases" in path else "POST")  # fmt: skip
        with urllib.request.urlopen(request, timeout=60) as answer:
            answer.read()

    def change():
        rng = random.Random(9)
        try:
            while not stop.is_set():
                version = rng.randrange(1, 4)
                admin("/v1/admin/models/mood/load", {"version": version})
                admin("/v1/admin/aliases/stable", {"model": "mood", "version": version})
                chosen.append(version)
        except OSError as error:
            failures.append(error)

    thread = threading.Thread(target=change, daemon=True)
    thread.start()
    try:
        while not chosen and thread.is_alive():  # the first choice makes the file
            time.sleep(0.01)
        for i in range(3):
            time.sleep(0.2)
            copy = tmp_path / f"copy{i}"
            copy.mkdir()
            shutil.copy2(root / ".registry.json", copy)
            shutil.copytree(root / "mood", copy / "mood")
            state = json.loads((copy / ".registry.json").read_text())
            other = RunningServer(qing.binary, "--port", 0, "--models", copy)
            with urllib.request.urlopen(other.endpoint + "/v1/models/mood", timeout=30) as answer:
                assert json.load(answer)["version"] == str(state["models"]["mood"]["version"])
            code, log = other.stop()
            assert code == 0 and "model_not_loaded" not in log
    finally:
        stop.set()
        thread.join(timeout=60)
    assert not failures and len(set(chosen)) > 1


def test_a_copy_of_a_stopped_run_resumes_to_the_same_bits(qing, tmp_path):
    data = write_tsv(tmp_path / "data.tsv", synthetic_rows(400))
    options = ["--epochs", 6, "--checkpoint-every", 5, "--seed", 3]
    qing(*small_training(data, tmp_path / "whole", *options))
    out = tmp_path / "out"
    process = subprocess.Popen([qing.binary, *map(str, small_training(data, out, *options))], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)  # fmt: skip
    log = out / "run/metrics.jsonl"
    assert within(60, lambda: log.exists() and '"step": 8,' in log.read_text())
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 0
    copy = tmp_path / "copy"
    shutil.copytree(out, copy)
    shutil.rmtree(out)
    qing("train", "--resume", "--out", copy)
    for name in ("model.safetensors", "config.json", "vocab.txt"):
        assert (copy / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
