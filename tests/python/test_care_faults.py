"""Every write, sync and rename of a backup, an export, a restore and a deletion fails once, disks are full, and the clock is
set back: nothing is half done afterwards."""

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import tarfile
import urllib.request

import openai
import pytest
from conftest import ask, synthetic_rows
from job_tools import client_of, finished, messages, upload, wait_for

# Fails the call number QING_FAIL_AT among those that change files, and says so on a file descriptor of its own.
SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>
static atomic_int calls;
static int fails(void) {
  const char* at = getenv("QING_FAIL_AT");
  if (at == NULL || atomic_fetch_add(&calls, 1) + 1 != atoi(at)) return 0;
  const char* mark = getenv("QING_FAIL_MARK");
  FILE* file = fopen(mark, "w");
  if (file != NULL) fclose(file);
  errno = EIO;
  return 1;
}
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
ssize_t write(int fd, const void* bytes, size_t size) { return fd > 2 && fails() ? -1 : REAL(write)(fd, bytes, size); }
ssize_t pwrite64(int fd, const void* bytes, size_t size, off64_t at) {
  return fails() ? -1 : REAL(pwrite64)(fd, bytes, size, at);
}
ssize_t pwrite(int fd, const void* bytes, size_t size, off_t at) {
  return fails() ? -1 : REAL(pwrite)(fd, bytes, size, at);
}
int fsync(int fd) { return fails() ? -1 : REAL(fsync)(fd); }
int fdatasync(int fd) { return fails() ? -1 : REAL(fdatasync)(fd); }
int rename(const char* from, const char* to) { return fails() ? -1 : REAL(rename)(from, to); }
int link(const char* from, const char* to) { return fails() ? -1 : REAL(link)(from, to); }
int unlink(const char* path) { return fails() ? -1 : REAL(unlink)(path); }
"""


@pytest.fixture(scope="module")
def preload(tmp_path_factory):
    folder = tmp_path_factory.mktemp("preload")
    (folder / "fail.c").write_text(SOURCE)
    library = folder / "fail.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-w", "-o", library, folder / "fail.c", "-ldl"], check=True)
    return library


def run(qing, preload, mark, at, *arguments):
    """Returns the command's result, and whether a call failed."""
    mark.unlink(missing_ok=True)
    environment = {**os.environ, "LD_PRELOAD": str(preload), "QING_FAIL_AT": str(at), "QING_FAIL_MARK": str(mark)}
    done = subprocess.run([qing.binary, *map(str, arguments)], env=environment, capture_output=True, text=True, timeout=60)
    return done, mark.exists()


def fill(folder):
    """A state with two projects' files and a finished job."""
    # Closed at once: a connection that ends later removes its log under a copy of the folder.
    with contextlib.closing(sqlite3.connect(folder / "qing.db")) as database, database:
        for project in ("a", "b"):
            database.execute(
                "INSERT INTO files VALUES(?, ?, 'x', 'user_data', 4, 1, 0, ?, '')",
                (f"file-{project * 24}", project, "0" * 64),
            )
            (folder / "files").mkdir(exist_ok=True)
            (folder / f"files/file-{project * 24}").write_text(f"of {project}")
        database.execute(
            "INSERT INTO jobs(id, project, status, created, base, base_version, model, training_file, validation_file, "
            "seed, metadata, hyperparameters, options, idempotency_key, request) "
            "VALUES('ftjob-1', 'a', 'succeeded', 1, 'scratch', 0, 'ft-1', 'f', '', 42, '{}', '{}', '{}', '', '')"
        )
        database.execute("INSERT INTO models VALUES('ft-1', 'a', 'ftjob-1', 1)")
    for path in ("jobs/ftjob-1/model", "models/ft-1/1"):
        (folder / path).mkdir(parents=True)
        (folder / path / "weights").write_bytes(os.urandom(5000))


@pytest.fixture
def filled(serve, models_root, tmp_path):
    folder = tmp_path / "state"
    own = shutil.copytree(models_root, tmp_path / "models")
    server = serve("--models", own, "--state", folder)
    body = json.dumps({"model": "emotion_analysis"}).encode()
    request = urllib.request.Request(server.endpoint + "/v1/admin/aliases/live", data=body, method="PUT")
    urllib.request.urlopen(request, timeout=30).close()  # makes the state
    server.stop()
    fill(folder)
    return folder


def rows(folder, table, project):
    with contextlib.closing(sqlite3.connect(f"file:{folder}/qing.db?mode=ro", uri=True)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return database.execute(f"SELECT count(*) FROM {table} WHERE project = ?", (project,)).fetchone()[0]


def leftovers(folder):
    return [p.name for p in folder.iterdir() if any(mark in p.name for mark in (".draft-", ".backup-", ".restore-"))]


def with_every_fault(qing, preload, filled, tmp_path, *command):
    """Runs a command that writes out.tar with a fault at each place in turn. Yields the archive of each run, or None."""
    failures = 0
    for at in range(1, 500):
        out = tmp_path / "out.tar"
        done, failed = run(qing, preload, tmp_path / "mark", at, *command, "--state", filled, "--out", out)
        if out.exists():
            yield out
            out.unlink()
        else:
            assert done.returncode == 1 and done.stderr, at
            yield None
        for stray in (*leftovers(tmp_path), *leftovers(filled)):
            # What cannot be removed stays, under a name that nothing takes for a backup.
            shutil.rmtree(filled / stray, ignore_errors=True)
            (tmp_path / stray).unlink(missing_ok=True)
        if not failed:
            assert done.returncode == 0
            break
        failures += 1
    assert failures > 10


def test_a_backup_is_whole_or_not_there(qing, preload, filled, tmp_path):
    for archive in with_every_fault(qing, preload, filled, tmp_path, "backup"):
        assert rows(filled, "files", "a") == 1
        if archive:
            qing("restore", archive, "--state", tmp_path / "to")
            shutil.rmtree(tmp_path / "to")


def test_an_export_is_whole_or_not_there(qing, preload, filled, tmp_path):
    for archive in with_every_fault(qing, preload, filled, tmp_path, "project", "export", "a"):
        if archive:
            with tarfile.open(archive) as content:
                names = content.getnames()
            assert f"files/file-{'a' * 24}" in names and "models/ft-1/1/weights" in names and "MANIFEST.json" in names


def test_a_restore_is_whole_or_not_there(qing, preload, filled, tmp_path):
    archive, to = tmp_path / "b.tar", tmp_path / "to"
    qing("backup", "--state", filled, "--out", archive)
    failures = 0
    for at in range(1, 500):
        done, failed = run(qing, preload, tmp_path / "mark", at, "restore", archive, "--state", to)
        if to.exists():
            assert rows(to, "files", "a") == 1 and (to / f"files/file-{'a' * 24}").read_text() == "of a"
            assert (to / "models/ft-1/1/weights").read_bytes() == (filled / "models/ft-1/1/weights").read_bytes()
            shutil.rmtree(to)
        else:
            assert done.returncode == 1, at
        for stray in leftovers(tmp_path):
            shutil.rmtree(tmp_path / stray, ignore_errors=True)
        if not failed:
            assert done.returncode == 0
            break
        failures += 1
    assert failures > 10


def test_a_deletion_that_fails_is_finished_by_the_next(qing, preload, filled, tmp_path):
    template = shutil.copytree(filled, tmp_path / "template")
    failures = 0
    for at in range(1, 500):
        shutil.rmtree(filled)
        shutil.copytree(template, filled)
        command = ("project", "delete", "a", "--state", filled, "--yes")
        done, failed = run(qing, preload, tmp_path / "mark", at, *command)
        if done.returncode != 0:
            qing(*command)
        assert rows(filled, "files", "a") == rows(filled, "jobs", "a") == rows(filled, "models", "a") == 0, at
        assert not (filled / f"files/file-{'a' * 24}").exists() and not (filled / "models/ft-1").exists(), at
        assert not (filled / "jobs/ftjob-1").exists(), at
        assert rows(filled, "files", "b") == 1 and (filled / f"files/file-{'b' * 24}").read_text() == "of b"
        if not failed:
            break
        failures += 1
    assert failures > 3


def test_a_killed_backup_leaves_nothing_for_ever(qing, serve, models_root, filled, tmp_path):
    large = filled / "models/ft-1/1/large"
    with open(large, "wb") as file:
        file.truncate(400 << 20)
    out = tmp_path / "out.tar"
    killed = subprocess.Popen([qing.binary, "backup", "--state", filled, "--out", out])
    # The copy of the database comes after the lock of the folder.
    wait_for(lambda: leftovers(tmp_path) and list(filled.glob(".backup-*/qing.db")), interval=0.001)
    killed.send_signal(signal.SIGSTOP)  # it must not end while the server starts
    in_use = leftovers(filled)
    large.unlink()
    server = serve("--models", models_root, "--state", filled)
    assert leftovers(filled) == in_use, "it is in use"
    killed.kill()
    assert killed.wait() == -signal.SIGKILL, "it was to be killed midway"
    assert leftovers(filled) == in_use
    server.stop()
    serve("--models", models_root, "--state", filled)
    assert leftovers(filled) == []
    qing("backup", "--state", filled, "--out", tmp_path / "next.tar")
    assert leftovers(tmp_path) == [], "also under another name"


def fill_disk(disk):
    """Leaves no byte of a small disk free. Returns the file that takes the room."""
    with open(disk / "filler", "wb", buffering=0) as file:
        for size in (65536, 4096, 512, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                pass
    return disk / "filler"


def integrity(folder):
    with contextlib.closing(sqlite3.connect(f"file:{folder}/qing.db?mode=ro", uri=True)) as database:
        return database.execute("PRAGMA integrity_check").fetchall()


@pytest.mark.parametrize("command", [("backup",), ("project", "export", "a")])
def test_a_full_disk_leaves_no_part_of_an_archive(qing, filled, small_disk, command):
    with open(filled / "models/ft-1/1/large", "wb") as file:
        file.truncate(8 << 20)
    done = qing(*command, "--state", filled, "--out", small_disk / "out.tar", check=False)
    assert done.returncode == 1 and "No space left on device" in done.stderr
    assert list(small_disk.iterdir()) == [] and leftovers(filled) == []


def test_a_full_disk_of_the_state_fails_a_backup_and_nothing_else(qing, filled, small_disk, tmp_path):
    state = small_disk / "state"
    shutil.copytree(filled, state)
    filler = fill_disk(small_disk)
    done = qing("backup", "--state", state, "--out", tmp_path / "out.tar", check=False)
    assert done.returncode == 1 and done.stderr and not (tmp_path / "out.tar").exists()
    assert leftovers(state) == leftovers(tmp_path) == []
    filler.unlink()
    assert integrity(state) == [("ok",)]
    qing("backup", "--state", state, "--out", tmp_path / "out.tar")


def test_feedback_on_a_full_disk_is_refused_or_kept(small_disk, serve, models_root):
    state = small_disk / "state"
    server = serve("--models", models_root, "--state", state)

    def give():
        _, headers, _ = ask(server.endpoint + "/v1/models/emotion_analysis/predict", {"text": "good"})
        body = {"request_id": headers["X-Request-Id"], "label": "neutral", "text": "good " * 200, "keep_text": True}
        return ask(server.endpoint + "/v1/feedback", body)[0]

    def kept():
        return sum(row["feedback"] for row in ask(server.endpoint + "/v1/feedback/summary")[2]["data"])

    assert give() == 200
    filler = fill_disk(small_disk)
    given = [give() for _ in range(20)]
    assert 500 in given or 503 in given, given
    assert kept() == 1 + given.count(200)
    filler.unlink()
    assert give() == 200 and kept() == 2 + given.count(200)
    assert integrity(state) == [("ok",)]


@pytest.mark.parametrize("room", [0, 30_000])
def test_a_full_disk_under_a_job_ends_in_an_error_or_success(small_disk, serve, models_root, room):
    state = small_disk / "state"
    server = serve("--models", models_root, "--state", state)
    client = client_of(server)
    options = {"model": "scratch", "training_file": upload(client, synthetic_rows(150)), "width": 32, "layers": 1, "vocab": 300}

    def start(**more):
        _, _, made = ask(server.endpoint + "/v1/jobs", {**options, **more})
        return client.fine_tuning.jobs.retrieve(made["id"])

    first = start(epochs=60, checkpoint_every=5)
    wait_for(lambda: list((state / "jobs").glob("*/model/run/last*")) or list((state / "jobs").glob("*/model/run/check*")))
    filler = fill_disk(small_disk)
    if room:
        os.truncate(filler, filler.stat().st_size - room)
    ended = server.logged().count("job_worker_ended")
    wait_for(lambda: server.logged().count("job_worker_ended") > ended or "_not_run" in server.logged())
    filler.unlink()
    done = finished(client, first)
    assert done.status in ("succeeded", "failed")
    if done.status == "failed":
        assert done.error.code in ("storage_error", "job_not_run"), done.error
    for message in (*messages(client, first), done.error.message if done.error else ""):
        assert str(small_disk) not in message
    assert integrity(state) == [("ok",)]
    again = finished(client, start(epochs=1))
    assert again.status == "succeeded", again.error
    served = {model.id for model in client.models.list()}
    assert again.fine_tuned_model in served and (done.fine_tuned_model in served or done.status == "failed")
    kept = sorted(path.name for path in (state / "models").iterdir())
    assert kept == sorted(job.fine_tuned_model for job in (done, again) if job.status == "succeeded")


# Adds the seconds in the file QING_CLOCK to the time of day, but not to the time since the start of the system.
CLOCK_SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
static long shift(void) {
  char text[32] = {0};
  const char* path = getenv("QING_CLOCK");
  if (path == NULL) return 0;
  int file = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  if (syscall(SYS_read, file, text, sizeof text - 1) < 0) text[0] = 0;
  syscall(SYS_close, file);
  return atol(text);
}
int clock_gettime(clockid_t clock, struct timespec* time) {
  int result = ((int (*)(clockid_t, struct timespec*))dlsym(RTLD_NEXT, "clock_gettime"))(clock, time);
  if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) time->tv_sec += shift();
  return result;
}
int gettimeofday(struct timeval* time, void* zone) {
  int result = ((int (*)(struct timeval*, void*))dlsym(RTLD_NEXT, "gettimeofday"))(time, zone);
  if (result == 0) time->tv_sec += shift();
  return result;
}
time_t time(time_t* out) {
  time_t now = ((time_t (*)(time_t*))dlsym(RTLD_NEXT, "time"))(NULL) + shift();
  if (out) *out = now;
  return now;
}
"""


@pytest.fixture
def clock(tmp_path, monkeypatch):
    """clock(seconds) sets the clock of servers that are started afterwards, and of those that run."""
    (tmp_path / "clock.c").write_text(CLOCK_SOURCE)
    library = tmp_path / "clock.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-w", "-o", library, tmp_path / "clock.c", "-ldl"], check=True)
    value = tmp_path / "clock"
    monkeypatch.setenv("QING_CLOCK", str(value))
    monkeypatch.setenv("LD_PRELOAD", str(library))

    def set_clock(seconds):
        fresh = tmp_path / "clock.new"
        fresh.write_text(str(seconds))
        fresh.replace(value)

    return set_clock


def test_a_clock_that_is_set_back_and_on_again(serve, models_root, clock, tmp_path):
    clock(0)
    state = tmp_path / "state"
    server = serve("--models", models_root, "--state", state)
    client = client_of(server)
    hour = openai.types.file_create_params.ExpiresAfter(anchor="created_at", seconds=3600)
    short = client.files.create(file=("a", b"x"), purpose="batch", expires_after=hour).id
    kept = client.files.create(file=("b", b"x"), purpose="batch").id
    training = upload(client, synthetic_rows(100))

    def train():
        made = ask(server.endpoint + "/v1/jobs", {"model": "scratch", "training_file": training, "epochs": 1, "width": 32})
        job = finished(client, client.fine_tuning.jobs.retrieve(made[2]["id"]))
        assert job.status == "succeeded", job.error
        return job

    before = train()
    clock(-86_400)
    after = train()
    assert after.created_at < before.created_at - 80_000, "the clock is back"
    assert {file.id for file in client.files.list()} >= {short, kept, training}, "no file has expired"
    assert [job.id for job in client.fine_tuning.jobs.list()] == [after.id, before.id], "in the order in which they were made"
    assert ask(server.endpoint + "/v1/models/emotion_analysis/predict", {"text": "good"})[0] == 200
    later = client.files.create(file=("c", b"x"), purpose="batch", expires_after=hour).id
    clock(7_200)
    wait_for(lambda: not (state / "files" / short).exists() and not (state / "files" / later).exists(), 20)
    assert (state / "files" / kept).exists() and (state / "files" / training).exists()
    assert short not in {file.id for file in client.files.list()}
    train()
    expired = [entry for entry in ask(server.endpoint + "/v1/admin/audit?action=file.expire")[2]["data"]]
    assert {entry["object"] for entry in expired} == {short, later}
    assert server.stop()[0] == 0
