"""Training jobs by a real Slurm of one node: two ranks, a cancelled job, restarts of the server, and what Slurm refuses."""

import json
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from conftest import RunningServer, synthetic_rows
from job_tools import client_of, finished, kill, messages, upload, wait_for, weights_of
from slurm_cluster import Cluster, unpacked

QUICK = {"model": "scratch", "layers": 1, "width": 32, "vocab": 300, "epochs": 2, "batch": 32, "seed": 7}
SLOW = {**QUICK, "epochs": 400, "batch": 8, "checkpoint_every": 20}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    cluster = Cluster(unpacked(), tmp_path_factory.mktemp("slurm"))
    yield cluster
    cluster.stop()


@pytest.fixture
def start(qing, cluster, tmp_path, monkeypatch):
    """start(*options) starts a server whose jobs Slurm runs, on one state folder."""
    if not (Path(qing.binary).resolve().parent / "libqing_mpi_openmpi.so").exists():
        pytest.skip("libqing_mpi_openmpi.so was not built")
    for name, value in cluster.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")
    monkeypatch.setenv("OMPI_MCA_btl_vader_single_copy_mechanism", "none")
    state, servers = tmp_path / "state", []

    def run(*options, runner="slurm"):
        server = RunningServer(qing.binary, "--port", 0, "--state", state, "--job-runner", runner,
                               "--slurm-partition", "short", "--slurm-partition", "other", "--slurm-ranks", 2,
                               "--slurm-minutes", 30, *options)  # fmt: skip
        server.folder = state
        servers.append(server)
        return server

    yield run
    for server in servers:
        server.stop()


def make(server, body, check=True):
    request = urllib.request.Request(server.endpoint + "/v1/jobs", json.dumps(body).encode(),
                                     {"Content-Type": "application/json"})  # fmt: skip
    try:
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        assert not check, error.read()
        return json.load(error)


def begin(server, body=QUICK, rows=300, **more):
    client = client_of(server)
    made = make(server, {**body, "training_file": upload(client, synthetic_rows(rows, seed=1)), **more})
    return client, client.fine_tuning.jobs.retrieve(made["id"])


def step_of(server, job):
    with urllib.request.urlopen(f"{server.endpoint}/v1/jobs/{job.id}") as answer:
        return json.load(answer)["progress"]["step"]


def underway(server, *arguments, **more):
    """begin() with its arguments, and the first step of the training."""
    client, job = begin(server, *arguments, **more)
    wait_for(lambda: step_of(server, job) > 0)
    return client, job


def test_two_ranks_train_a_model_that_is_served(start, cluster, qing, tmp_path):
    server = start()
    client, job = begin(server)
    done = finished(client, job)
    assert done.status == "succeeded", (done.error, messages(client, job), server.logged())
    number, name, state, partition, cpus, limit = cluster.named(job.id)
    assert (state, partition, cpus, limit) == ("COMPLETED", "short", "2", "30:00")
    assert f"Submitted to Slurm as job {number}" in messages(client, job)
    assert done.trained_tokens > 0 and done.result_files
    body = {"model": done.fine_tuned_model, "input": ["I love this film"]}
    request = urllib.request.Request(server.endpoint + "/v1/classify", json.dumps(body).encode(),
                                     {"Content-Type": "application/json"})  # fmt: skip
    with urllib.request.urlopen(request) as answer:
        assert json.load(answer)["data"][0]["num_classes"] == 3
    # One rank has the same bits, and another partition and time if it asks for them.
    client, one = begin(server, slurm={"ranks": 1, "partition": "other", "minutes": 10})
    again = finished(client, one)
    assert again.status == "succeeded", again.error
    assert cluster.named(one.id)[2:] == ("COMPLETED", "other", "1", "10:00")
    assert weights_of(server.folder, again.fine_tuned_model) == weights_of(server.folder, done.fine_tuned_model)
    assert not list((server.folder / "jobs").iterdir()), "the jobs' copies of the texts stay"


def test_a_cancelled_job_ends_on_the_cluster(start, cluster):
    server = start()
    client, job = underway(server, SLOW)
    assert cluster.named(job.id)[2] == "RUNNING"
    client.fine_tuning.jobs.cancel(job.id)
    wait_for(lambda: cluster.named(job.id)[2] == "CANCELLED")
    assert client.fine_tuning.jobs.retrieve(job.id).status == "cancelled"
    wait_for(lambda: not (server.folder / "jobs" / job.id).exists())


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_another_server_finds_the_jobs_again(start, cluster, how):
    server = start()
    body = {**QUICK, "epochs": 60, "batch": 8}
    client, job = underway(server, body)
    number = cluster.named(job.id)[0]
    if how == "stopped":
        server.stop()
    else:
        kill(server.process.pid)
        server.process.wait()
    assert cluster.named(job.id)[2] == "RUNNING", "the training ended with its server"
    client = client_of(start())
    done = finished(client, job)
    assert done.status == "succeeded", done.error
    assert cluster.named(job.id)[:3] == (number, f"qing-{job.id}", "COMPLETED"), "it was submitted again"
    assert len([line for line in messages(client, job) if line.startswith("Submitted to Slurm")]) == 1


def test_a_job_that_was_submitted_and_not_recorded_is_found_by_its_name(start, cluster):
    server = start()
    client, job = underway(server, {**QUICK, "epochs": 60, "batch": 8})
    number = cluster.named(job.id)[0]
    kill(server.process.pid)
    server.process.wait()
    (server.folder / "jobs" / job.id / "slurm.json").unlink()
    done = finished(client_of(start()), job)
    assert done.status == "succeeded", done.error
    assert cluster.named(job.id)[0] == number


def test_a_paused_job_goes_on_from_its_checkpoint(start, cluster):
    server = start()
    client, job = underway(server, {**QUICK, "epochs": 60, "batch": 8})
    client.fine_tuning.jobs.pause(job.id)
    wait_for(lambda: cluster.named(job.id)[2] not in {"RUNNING", "COMPLETING"})
    end = json.loads((server.folder / "jobs" / job.id / "end.json").read_text())
    assert end["code"] == 4, "it was not asked for a checkpoint"
    first, step = cluster.named(job.id)[0], step_of(server, job)
    client.fine_tuning.jobs.resume(job.id)
    done = finished(client, job)
    assert done.status == "succeeded", done.error
    assert cluster.named(job.id)[0] > first and step > 0


def test_what_slurm_and_operators_end_is_told(start, cluster):
    server = start()
    client, job = underway(server, SLOW)
    cluster.run("scancel", cluster.named(job.id)[0])
    done = finished(client, job)
    assert done.status == "failed" and done.error.code == "slurm_cancelled", done.error
    assert f"job {cluster.named(job.id)[0]} of Slurm" in done.error.message


def test_a_refusal_carries_the_words_of_sbatch(start, cluster):
    server = start("--slurm-option=--qos=none", "--slurm-option=--nodelist=nowhere")
    client, job = begin(server)
    done = finished(client, job)
    assert done.status == "failed" and done.error.code == "slurm_refused", done.error
    assert "sbatch: error: " in done.error.message and "Invalid node name" in done.error.message
    assert any("Attempt 1 of 3 failed" in line for line in messages(client, job))


@pytest.mark.parametrize(
    "slurm, what",
    [
        ({"ranks": 3}, "at most 2"),
        ({"minutes": 31}, "at most 30"),
        ({"partition": "gpu"}, "one of short, other"),
        ({"nodes": 1}, "other than ranks, partition and minutes"),
        (2, "must be an object"),
    ],
)
def test_a_job_cannot_ask_for_more_than_the_operator_allows(start, slurm, what):
    server = start()
    answer = make(server, {**QUICK, "training_file": "file-x", "slurm": slurm}, check=False)
    assert what in answer["error"]


def test_the_command_asks_for_ranks(start, cluster, qing):
    server = start()
    file = upload(client_of(server), synthetic_rows(300, seed=1))
    sets = [word for name, value in QUICK.items() if name != "model" for word in ("--set", f"{name}={value}")]
    made = qing("jobs", "create", "--url", server.endpoint, "--training-file", file, "--runner", "slurm", "--ranks", 1,
                "--partition", "other", "--minutes", 5, "--json", *sets)  # fmt: skip
    job = json.loads(made.stdout)["id"]
    qing("jobs", "wait", "--url", server.endpoint, job)
    assert cluster.named(job)[2:] == ("COMPLETED", "other", "1", "5:00")
    refused = qing("jobs", "create", "--url", server.endpoint, "--training-file", file, "--ranks", 1, check=False)
    assert refused.returncode == 2 and "--runner slurm" in refused.stderr
    server.stop()
    local = start(runner="local")
    refused = qing("jobs", "create", "--url", local.endpoint, "--training-file", file, "--runner", "slurm", check=False)
    assert refused.returncode == 1 and "trains jobs on its own machine" in refused.stderr
