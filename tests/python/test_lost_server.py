"""`qing jobs wait` while its server restarts, and when the server is gone."""

import json
import subprocess

import pytest
from conftest import RunningServer, free_port, synthetic_rows
from job_tools import client_of, jsonl, upload


def job_of(qing, server, epochs):
    file = upload(client_of(server), jsonl(synthetic_rows(300)))
    made = qing("jobs", "create", "--url", server.endpoint, "--training-file", file, "--set", f"epochs={epochs}", "--set", "width=32",
                "--set", "layers=1", "--json")  # fmt: skip
    return json.loads(made.stdout)["id"]


def waiting(qing, server, job, patience):
    """A process of `qing jobs wait` that the server has answered."""
    command = [qing.binary, "jobs", "wait", "--url", server.endpoint, "--patience", str(patience), job]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while "running" not in process.stderr.readline():
        assert process.poll() is None
    return process


def test_waiting_survives_a_restart_and_tells_a_lost_server_from_a_failed_job(qing, models_root, tmp_path):
    arguments = ["--port", free_port(), "--models", models_root, "--state", tmp_path / "state"]
    server = RunningServer(qing.binary, *arguments)
    job = job_of(qing, server, 60)
    with waiting(qing, server, job, 60) as process:
        server.stop()
        said = process.stderr.readline()
        while "asking again for 60 s" not in said:
            assert process.poll() is None, said
            said = process.stderr.readline()
        server = RunningServer(qing.binary, *arguments)
        shown, _ = process.communicate(timeout=200)
        assert process.returncode == 0 and "succeeded" in shown
    job = job_of(qing, server, 2000)
    with waiting(qing, server, job, 1) as process:
        server.stop()
        _, said = process.communicate(timeout=60)
        assert process.returncode == 3 and "The job may still run" in said
    unreached = qing("jobs", "wait", "--url", server.endpoint, job, check=False)
    assert unreached.returncode == 1  # it has never answered
