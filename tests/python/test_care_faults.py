"""Every write, sync and rename of a backup, a restore and a deletion fails once: nothing is half done afterwards."""

import json
import os
import shutil
import sqlite3
import subprocess
import urllib.request

import pytest

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
    with sqlite3.connect(folder / "qing.db") as database:
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
    with sqlite3.connect(f"file:{folder}/qing.db?mode=ro", uri=True) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return database.execute(f"SELECT count(*) FROM {table} WHERE project = ?", (project,)).fetchone()[0]


def leftovers(folder):
    return [p.name for p in folder.iterdir() if any(mark in p.name for mark in (".draft-", ".backup-", ".restore-"))]


def test_a_backup_is_whole_or_not_there(qing, preload, filled, tmp_path):
    failures = 0
    for at in range(1, 500):
        out = tmp_path / "out.tar"
        done, failed = run(qing, preload, tmp_path / "mark", at, "backup", "--state", filled, "--out", out)
        assert rows(filled, "files", "a") == 1
        if out.exists():
            qing("restore", out, "--state", tmp_path / "to")
            shutil.rmtree(tmp_path / "to")
            out.unlink()
        else:
            assert done.returncode == 1 and done.stderr, at
        for stray in (*leftovers(tmp_path), *leftovers(filled)):
            # What cannot be removed stays, under a name that nothing takes for a backup.
            shutil.rmtree(filled / stray, ignore_errors=True)
            (tmp_path / stray).unlink(missing_ok=True)
        if not failed:
            assert done.returncode == 0
            break
        failures += 1
    assert failures > 10


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
            shutil.rmtree(tmp_path / stray)
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
