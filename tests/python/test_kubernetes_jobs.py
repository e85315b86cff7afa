"""Training jobs by Kubernetes, with a stand-in for the cluster that trains the pods as processes of this machine."""

import hashlib
import json
import re
import shutil
import time
from pathlib import Path

import pytest
from conftest import RunningServer, synthetic_rows
from job_tools import client_of, finished, kill, messages, upload, wait_for, weights_of
from kubernetes_api import Cluster
from pod_process import ended_status
from test_slurm_jobs import QUICK, SLOW, begin, make, step_of
from test_tls_commands import Authority

TOKEN = "eyJhbGciOiJSUzI1NiJ9.first-token-of-the-service-account"
LONG = {**QUICK, "epochs": 60, "batch": 8}


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path / "authority", "the cluster")


@pytest.fixture
def cluster_of(qing, authority, tmp_path, monkeypatch):
    """cluster_of(trains=...) starts a cluster. No request to it may have a fault."""
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")
    _, certificate, _, key = authority.sign("api")
    clusters = []

    def run(trains=True, certificate=certificate, key=key):
        cluster = Cluster(certificate, key, TOKEN, qing.binary, tmp_path / "volume", trains)
        clusters.append(cluster)
        return cluster

    yield run
    for cluster in clusters:
        cluster.stop()
        assert cluster.faults == []


@pytest.fixture
def start(qing, authority, tmp_path):
    """start(cluster, *options) starts a server whose jobs the cluster runs, on one state folder in the claim's volume."""
    state, token, servers = tmp_path / "volume/qing/state", tmp_path / "token", []
    state.parent.mkdir(parents=True)
    token.write_text(TOKEN + "\n")

    def run(cluster, *options, runner="kubernetes"):
        server = RunningServer(qing.binary, "--port", 0, "--state", state, "--job-runner", runner,
                               "--kubernetes-server", cluster.url, "--kubernetes-token", token,
                               "--kubernetes-authority", authority.file, "--kubernetes-namespace", "training",
                               "--kubernetes-image", "qing:0.1.0", "--kubernetes-claim", "qing-state",
                               "--kubernetes-claim-path", "qing/state", *options)  # fmt: skip
        server.folder, server.token = state, token
        servers.append(server)
        return server

    yield run
    for server in servers:
        _, log = server.stop()
        assert "eyJhbGciOiJSUzI1NiJ9" not in log, "the log has a token"


def wait_for_pod(cluster):
    return wait_for(lambda: cluster.object() if cluster.pods else None)


def look_twice(cluster):
    """Waits until the server has looked at the pods again."""
    before = len(cluster.asked("GET", "/pods"))
    wait_for(lambda: len(cluster.asked("GET", "/pods")) > before + 1)


def end_pod(cluster, status, condition="Failed", reason="BackoffLimitExceeded"):
    cluster.set_pod(status)
    cluster.set_condition(condition, reason)


def test_a_pod_trains_a_model_that_is_served(start, cluster_of, qing):
    cluster = cluster_of()
    server = start(cluster, "--kubernetes-minutes", 30, "--job-cores", 1, "--job-memory", 900)
    client, job = begin(server)
    done = finished(client, job)
    assert done.status == "succeeded", (done.error, messages(client, job), server.logged())
    ((_, _, body),) = cluster.asked("POST")
    name = body["metadata"]["name"]
    assert f"Submitted to Kubernetes as Job {name}" in messages(client, job)
    wait_for(lambda: cluster.object() is None)  # it is not left behind
    assert done.trained_tokens > 0 and done.result_files
    assert not list((server.folder / "jobs").iterdir()), "the job's copies of the texts stay"
    spec = body["spec"]["template"]["spec"]
    assert body["spec"]["backoffLimit"] == 0 and spec["restartPolicy"] == "Never"
    assert spec["activeDeadlineSeconds"] == 1800 and not spec["automountServiceAccountToken"]
    (container,) = spec["containers"]
    assert container["resources"]["limits"] == {"cpu": "1", "memory": "900Mi"} == container["resources"]["requests"]
    assert container["volumeMounts"][0]["subPath"] == f"qing/state/jobs/{job.id}", "it sees more than its own folder"
    assert body["metadata"]["labels"]["qing/job"] == job.id
    server.stop()
    # A process of the server's machine makes the same weights.
    client, local = begin(server := start(cluster, runner="local"))
    again = finished(client, local)
    assert again.status == "succeeded" and len(cluster.asked("POST")) == 1
    assert weights_of(server.folder, again.fine_tuned_model) == weights_of(server.folder, done.fine_tuned_model)


def test_two_ranks_are_an_mpi_job(start, cluster_of, qing, monkeypatch):
    if shutil.which("mpirun") is None or not (Path(qing.binary).resolve().parent / "libqing_mpi_openmpi.so").exists():
        pytest.skip("needs Open MPI")
    for name in ("OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "OMPI_MCA_rmaps_base_oversubscribe"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("OMPI_MCA_btl_vader_single_copy_mechanism", "none")
    cluster = cluster_of()
    server = start(cluster, "--kubernetes-ranks", 2)
    client, job = begin(server, LONG)
    wait_for(lambda: step_of(server, job) > 0)
    assert {len(cluster.pods)} == {3}
    client.fine_tuning.jobs.pause(job.id)
    wait_for(lambda: cluster.object() is None)
    assert json.loads((server.folder / "jobs" / job.id / "end.json").read_text())["code"] == 4
    client.fine_tuning.jobs.resume(job.id)
    done = finished(client, job)
    assert done.status == "succeeded", (done.error, messages(client, job), server.logged())
    assert [path.split("?")[0].rsplit("/", 1)[1] for _, path, _ in cluster.asked("POST")] == ["mpijobs", "mpijobs"]
    # One rank is a Job.
    client, one = begin(server, kubernetes={"ranks": 1, "minutes": 5})
    assert finished(client, one).status == "succeeded"
    assert cluster.asked("POST")[-1][1].split("?")[0].endswith("/jobs")


def test_a_cancelled_job_ends_on_the_cluster(start, cluster_of):
    cluster = cluster_of()
    server = start(cluster)
    client, job = begin(server, SLOW)
    wait_for(lambda: step_of(server, job) > 0)
    client.fine_tuning.jobs.cancel(job.id)
    wait_for(lambda: cluster.object() is None)
    assert client.fine_tuning.jobs.retrieve(job.id).status == "cancelled"
    wait_for(lambda: not (server.folder / "jobs" / job.id).exists())
    assert len({body["preconditions"]["uid"] for _, _, body in cluster.asked("DELETE")}) == 1


def test_a_paused_job_goes_on_from_its_checkpoint(start, cluster_of):
    cluster = cluster_of()
    server = start(cluster)
    client, job = begin(server, LONG)
    wait_for(lambda: step_of(server, job) > 0)
    client.fine_tuning.jobs.pause(job.id)
    wait_for(lambda: cluster.object() is None)
    end = json.loads((server.folder / "jobs" / job.id / "end.json").read_text())
    assert end["code"] == 4, "it was not asked for a checkpoint"
    step = step_of(server, job)
    client.fine_tuning.jobs.resume(job.id)
    done = finished(client, job)
    assert done.status == "succeeded", done.error
    first, second = (body["metadata"]["labels"]["qing/attempt"] for _, _, body in cluster.asked("POST"))
    assert first == end["cluster_job"] != second and step > 0


@pytest.mark.parametrize("how", ["stopped", "killed", "killed without a record"])
def test_another_server_finds_the_jobs_again(start, cluster_of, how):
    cluster = cluster_of()
    server = start(cluster)
    client, job = begin(server, LONG)
    wait_for(lambda: step_of(server, job) > 0)
    if how == "stopped":
        server.stop()
    else:
        kill(server.process.pid)
        server.process.wait()
    if how == "killed without a record":
        record = server.folder / "jobs" / job.id / "kubernetes.json"
        record.write_text(json.dumps({**json.loads(record.read_text()), "uid": ""}))
    client = client_of(start(cluster))
    done = finished(client, job)
    assert done.status == "succeeded", done.error
    assert len(cluster.asked("POST")) == 1, "it was submitted again"
    wait_for(lambda: cluster.object() is None)


def test_a_lost_answer_creates_no_second_object(start, cluster_of):
    cluster = cluster_of()
    server = start(cluster)
    cluster.lose_answer("POST")
    client, job = begin(server)
    done = finished(client, job)
    assert done.status == "succeeded", done.error
    assert len(cluster.asked("POST")) == 1
    assert "Kubernetes cannot be asked now. The server tries again." in messages(client, job)


def test_the_end_of_a_pod_is_another_job_as_long_as_it_makes_steps(start, cluster_of):
    """As at the time limit of a pod, or when its node is drained: SIGTERM, then a Job that has failed."""
    cluster = cluster_of()
    server = start(cluster)
    client, job = begin(server, LONG)
    wait_for(lambda: step_of(server, job) > 0)
    with cluster.lock:
        (process,) = cluster.processes.values()
        process.process.terminate()
    done = finished(client, job)
    assert done.status == "succeeded", done.error
    assert len(cluster.asked("POST")) == 2
    assert "The job goes on from its last checkpoint" in messages(client, job)
    assert not any("Attempt" in line for line in messages(client, job))


def test_a_killed_pod_is_an_attempt(start, cluster_of):
    cluster = cluster_of()
    server = start(cluster)
    client, job = begin(server, LONG)
    wait_for(lambda: step_of(server, job) > 0)
    cluster.end_pods()
    done = finished(client, job)
    assert done.status == "succeeded", done.error
    assert any(line.startswith("Attempt 1 of 3 failed") for line in messages(client, job))
    assert len(cluster.asked("POST")) == 2


def test_waits_of_a_pod_are_told(start, cluster_of):
    cluster = cluster_of(trains=False)
    server = start(cluster)
    client, job = begin(server)
    wait_for_pod(cluster)

    def waiting(reason):
        state = {"waiting": {"reason": reason, "message": 'pulling "registry.example/qing"'}}
        return {"phase": "Pending", "containerStatuses": [{"name": "qing", "state": state}]}

    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}
    cluster.set_pod({"phase": "Pending", "conditions": [condition]})
    wait_for(lambda: "The pod of the training waits: Unschedulable. No node has room for it now." in messages(client, job))
    for reason in ("ContainerCreating", "ErrImagePull", "ImagePullBackOff", "ErrImagePull"):
        cluster.set_pod(waiting(reason))
        look_twice(cluster)
    cluster.set_pod({"phase": "Running"})
    wait_for(lambda: "The pod of the training runs" in messages(client, job))
    told = [line for line in messages(client, job) if "waits" in line]
    assert len(told) == 2 and "ImagePullBackOff" in told[1], told
    assert not any("registry.example" in line for line in messages(client, job)), "the owner sees the operator's registry"
    assert "registry.example" in server.logged()
    client.fine_tuning.jobs.cancel(job.id)
    wait_for(lambda: cluster.object() is None)


TERMINATED = {"phase": "Failed", "reason": "Terminated"}
PREEMPTED = {"phase": "Failed", "conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}]}


@pytest.mark.parametrize(
    "status, code, attempts",
    [
        (ended_status(137, "OOMKilled"), "memory_limit", 1),
        ({"phase": "Failed", "reason": "Evicted", "message": "low on memory"}, "kubernetes_evicted", 3),
        ({"phase": "Failed", "reason": "DeadlineExceeded"}, "time_limit", 3),
        (PREEMPTED, "kubernetes_preempted", 3),
        (TERMINATED, "kubernetes_node_failed", 3),
        (ended_status(128, "StartError"), "kubernetes_not_started", 3),
        (ended_status(139), "worker_ended", 3),
        (None, "kubernetes_lost", 3),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_end_of_a_pod_says_why_a_job_failed(start, cluster_of, status, code, attempts):
    cluster = cluster_of(trains=False)
    server = start(cluster)
    client, job = begin(server)
    for attempt in range(1, attempts + 1):
        wait_for(lambda n=attempt: len(cluster.asked("POST")) == n and cluster.pods)
        if status is None:
            with cluster.lock:
                cluster.pods.clear()
                cluster.set_condition("Failed", "BackoffLimitExceeded")
        else:
            end_pod(cluster, status)
    done = finished(client, job)
    assert done.status == "failed" and done.error.code == code, done.error
    assert len(cluster.asked("POST")) == attempts
    wait_for(lambda: cluster.object() is None)


def test_who_deletes_the_object_cancels_the_training(start, cluster_of):
    cluster = cluster_of(trains=False)
    server = start(cluster)
    client, job = begin(server)
    attempt = wait_for_pod(cluster)["metadata"]["labels"]["qing/attempt"]
    # Deletion asks for a checkpoint, too.
    (server.folder / "jobs" / job.id / "end.json").write_text(json.dumps({"cluster_job": attempt, "code": 4}))
    cluster.drop()
    done = finished(client, job)
    assert done.status == "failed" and done.error.code == "kubernetes_deleted", done.error
    assert len(cluster.asked("POST")) == 1


def test_the_end_may_come_late_by_the_volume(start, cluster_of):
    cluster = cluster_of(trains=False)
    server = start(cluster)
    client, job = begin(server)
    attempt = wait_for_pod(cluster)["metadata"]["labels"]["qing/attempt"]
    end_pod(cluster, ended_status(1))
    look_twice(cluster)
    assert client.fine_tuning.jobs.retrieve(job.id).status == "running"
    folder = server.folder / "jobs" / job.id
    (folder / "error.json").write_text(json.dumps({"code": "training_failed", "message": "its own word", "param": ""}))
    (folder / "end.json").write_text(json.dumps({"cluster_job": attempt, "code": 1}))
    done = finished(client, job)
    assert done.status == "failed" and done.error.code == "training_failed", done.error


def test_an_object_of_an_earlier_attempt_is_removed_first(start, cluster_of):
    cluster = cluster_of(trains=False)
    server = start(cluster)
    client, job = begin(server)
    first = wait_for_pod(cluster)["metadata"]["uid"]
    cluster.fail("DELETE", "/jobs/", 500, times=1)
    end_pod(cluster, {"phase": "Failed", "reason": "Evicted"})
    wait_for(lambda: len(cluster.asked("POST")) == 2)
    assert cluster.object()["metadata"]["uid"] != first
    assert len(cluster.asked("DELETE")) == 2
    client.fine_tuning.jobs.cancel(job.id)
    wait_for(lambda: cluster.object() is None)


def test_an_object_of_somebody_else_is_left_alone(start, cluster_of):
    cluster = cluster_of(trains=False)
    server = start(cluster)
    cluster.fail("GET", "/jobs/", 503, times=1000)
    client, job = begin(server)
    (_, path, _) = wait_for(lambda: cluster.asked("GET", "/jobs/"))[0]
    name = path.rsplit("/", 1)[1]
    foreign = {"kind": "Job", "metadata": {"name": name, "uid": "1", "labels": {}}, "status": {"conditions": []}}
    cluster.objects[name] = foreign
    cluster.works_again()
    done = finished(client, job)
    assert done.status == "failed" and done.error.code == "kubernetes_refused", done.error
    assert name in done.error.message and cluster.asked("DELETE") == [] and cluster.object() is not None


@pytest.mark.parametrize(
    "status, reason, message",
    [
        (403, "Forbidden", 'User "system:serviceaccount:training:qing" cannot create resource "jobs"'),
        (422, "Invalid", "spec.template.spec.containers[0].image: Required value"),
        (404, "NotFound", "the server could not find the requested resource"),
    ],
)
def test_a_refusal_carries_the_words_of_the_api_server(start, cluster_of, status, reason, message):
    cluster = cluster_of()
    server = start(cluster)
    cluster.fail("POST", "/jobs", status, message, reason, times=3)
    client, job = begin(server)
    done = finished(client, job)
    assert done.status == "failed" and done.error.code == "kubernetes_refused", done.error
    assert f"HTTP {status} {reason}: {message}" in done.error.message
    assert len(cluster.asked("POST")) == 3


@pytest.mark.parametrize(
    "status, message, headers",
    [
        (401, "Unauthorized", {}),
        (403, 'exceeded quota: jobs, requested: count/jobs.batch=1', {}),
        (429, "too many requests", {"Retry-After": "1"}),
        (500, "etcdserver: leader changed", {}),
        (503, "apiserver not ready", {"Retry-After": "1"}),
        (0, "", {}),
    ],
)
def test_an_outage_costs_no_attempt(start, cluster_of, status, message, headers):
    cluster = cluster_of()
    server = start(cluster)
    cluster.fail("POST", "/jobs", status, message, times=2, headers=headers)
    client, job = begin(server)
    wait_for(lambda: len(cluster.asked("POST")) == 1)
    done = finished(client, job)
    assert done.status == "succeeded", done.error
    assert len(cluster.asked("POST")) == 3
    told = messages(client, job)
    assert told.count("Kubernetes cannot be asked now. The server tries again.") == 1
    assert not any("Attempt" in line for line in told)


def test_an_outage_ends_no_training_and_tokens_are_replaced(start, cluster_of):
    cluster = cluster_of()
    server = start(cluster)
    client, job = begin(server, LONG)
    wait_for(lambda: step_of(server, job) > 0)
    cluster.fail("GET", ".", 0, times=3)
    wait_for(lambda: "kubernetes_not_asked" in server.logged())
    cluster.token = "eyJhbGciOiJSUzI1NiJ9.second"
    wait_for(lambda: len(cluster.asked("GET")) > 6)
    assert client.fine_tuning.jobs.retrieve(job.id).status == "running"
    new = server.token.with_suffix(".new")
    new.write_text(cluster.token)
    new.rename(server.token)
    done = finished(client, job)
    assert done.status == "succeeded", done.error
    assert len(cluster.asked("POST")) == 1
    assert server.logged().count("kubernetes_not_asked") == 1, "an outage is told once"


def test_a_slow_api_server_holds_up_no_stop(start, cluster_of):
    cluster = cluster_of()
    server = start(cluster)
    client, job = begin(server, SLOW)
    wait_for(lambda: step_of(server, job) > 0)
    cluster.delay = 25
    time.sleep(3)
    begun = time.monotonic()
    server.stop()
    assert time.monotonic() - begun < 10
    cluster.delay = 0
    client = client_of(start(cluster))
    client.fine_tuning.jobs.cancel(job.id)
    wait_for(lambda: cluster.object() is None)


def test_an_answer_that_repeats_the_token_is_not_shown(start, cluster_of):
    cluster = cluster_of()
    server = start(cluster)
    cluster.fail("POST", "/jobs", 400, f"bad request: Authorization: Bearer {TOKEN}", "BadRequest", times=3)
    client, job = begin(server)
    done = finished(client, job)
    assert done.status == "failed" and TOKEN not in done.error.message, done.error
    # The fixture looks for the token in the log.


def test_pods_that_cannot_be_listed_lose_no_end(start, cluster_of):
    cluster = cluster_of()
    server = start(cluster)
    cluster.fail("GET", "/pods", 403, "pods is forbidden", "Forbidden", times=1000)
    client, job = begin(server)
    done = finished(client, job)
    assert done.status == "succeeded", done.error
    assert len(cluster.asked("GET", "/pods")) == 1


def test_a_certificate_of_another_authority_is_refused(start, cluster_of, tmp_path):
    other = Authority(tmp_path / "other", "somebody else")
    _, certificate, _, key = other.sign("api")
    cluster = cluster_of(True, certificate, key)
    server = start(cluster)
    client, job = begin(server)
    wait_for(lambda: "certificate is refused" in server.logged())
    assert "--kubernetes-authority" in server.logged() and cluster.requests == []
    client.fine_tuning.jobs.cancel(job.id)


def test_a_patch_of_the_pods_is_merged(start, cluster_of, tmp_path):
    patch = tmp_path / "pod.json"
    wish = {"nodeSelector": {"pool": "training"}, "tolerations": [{"key": "training", "operator": "Exists"}],
            "imagePullSecrets": [{"name": "registry"}], "securityContext": {"fsGroup": 65532}}  # fmt: skip
    patch.write_text(json.dumps({"metadata": {"labels": {"team": "texts", "qing/job": "other"}}, "spec": wish}))
    cluster = cluster_of()
    server = start(cluster, "--kubernetes-pod", patch, "--kubernetes-service-account", "trainings")
    client, job = begin(server)
    assert finished(client, job).status == "succeeded"
    ((_, _, body),) = cluster.asked("POST")
    template = body["spec"]["template"]
    assert template["metadata"]["labels"]["team"] == "texts" and template["metadata"]["labels"]["qing/job"] == job.id
    assert template["spec"]["nodeSelector"] == wish["nodeSelector"] and template["spec"]["tolerations"] == wish["tolerations"]
    assert template["spec"]["securityContext"].items() > {"fsGroup": 65532}.items()
    assert template["spec"]["serviceAccountName"] == "trainings"


@pytest.mark.parametrize(
    "wishes, what",
    [
        ({"ranks": 3}, "at most 2"),
        ({"minutes": 31}, "at most 30"),
        ({"partition": "gpu"}, "other than ranks and minutes"),
        (2, "must be an object"),
    ],
)
def test_a_job_cannot_ask_for_more_than_the_operator_allows(start, cluster_of, wishes, what):
    server = start(cluster_of(), "--kubernetes-ranks", 2, "--kubernetes-minutes", 30)
    answer = make(server, {**QUICK, "training_file": "file-x", "kubernetes": wishes}, check=False)
    assert what in answer["error"]
    other = make(server, {**QUICK, "training_file": "file-x", "slurm": {}}, check=False)
    assert "on another cluster" in other["error"]


def test_the_command_asks_for_minutes(start, cluster_of, qing):
    cluster = cluster_of()
    server = start(cluster)
    file = upload(client_of(server), synthetic_rows(300, seed=1))
    sets = [word for name, value in QUICK.items() if name != "model" for word in ("--set", f"{name}={value}")]
    made = qing("jobs", "create", "--url", server.endpoint, "--training-file", file, "--runner", "kubernetes",
                "--minutes", 5, "--json", *sets)  # fmt: skip
    qing("jobs", "wait", "--url", server.endpoint, json.loads(made.stdout)["id"])
    ((_, _, body),) = cluster.asked("POST")
    assert body["spec"]["template"]["spec"]["activeDeadlineSeconds"] == 300
    refused = qing("jobs", "create", "--url", server.endpoint, "--training-file", file, "--runner", "kubernetes",
                   "--partition", "short", check=False)  # fmt: skip
    assert refused.returncode == 2 and "--partition needs --runner slurm" in refused.stderr


def test_what_a_start_needs(qing, authority, tmp_path, monkeypatch):
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    token = tmp_path / "token"
    token.write_text("x\n")
    good = {"job-runner": "kubernetes", "state": str(tmp_path / "state"), "kubernetes-server": "https://10.0.0.1:6443", "kubernetes-token": str(token),
            "kubernetes-authority": str(authority.file), "kubernetes-namespace": "training", "kubernetes-image": "qing:0.1.0",
            "kubernetes-claim": "qing-state"}  # fmt: skip
    empty, patch = tmp_path / "empty", tmp_path / "pod.json"
    empty.write_text("")
    patch.write_text('{"spec": {"containers": []}}')

    def checked(changes):
        config = tmp_path / "qing.toml"
        entries = {name: value for name, value in {**good, **changes}.items() if value is not None}
        config.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in entries.items()))
        result = qing("check-config", config, "--without-models", check=False)
        if result.returncode != 0:  # a start says the same
            started = qing("serve", "--config", config, "--port", 0, check=False)
            assert started.returncode != 0 and re.sub(r"^\S+ ", "", result.stderr.split(": ", 3)[-1]).strip() in started.stderr
        return result

    assert checked({}).returncode == 0
    for changes, words in [
        ({"kubernetes-image": None}, "--kubernetes-image: is missing"),
        ({"kubernetes-claim": None}, "--kubernetes-claim: is missing"),
        ({"kubernetes-server": "http://10.0.0.1:8080"}, "is no https URL"),
        ({"kubernetes-server": None}, "KUBERNETES_SERVICE_HOST"),
        ({"kubernetes-token": str(tmp_path / "none")}, str(tmp_path / "none")),
        ({"kubernetes-token": str(empty)}, "holds no token"),
        ({"kubernetes-authority": str(empty)}, "not a readable file of certificates"),
        ({"kubernetes-namespace": None}, "serviceaccount/namespace"),
        ({"kubernetes-pod": str(patch)}, "spec.containers"),
        ({"kubernetes-claim": "Qing"}, "lower-case"),
        ({"kubernetes-claim-path": "../x"}, "relative path"),
    ]:
        result = checked(changes)
        assert result.returncode == 2 and words in result.stderr, (changes, result.stderr)


def test_a_pod_of_the_cluster_needs_no_url(qing, cluster_of, authority, tmp_path, monkeypatch):
    cluster = cluster_of()
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", cluster.url.rsplit(":", 1)[1])
    token = tmp_path / "token"
    token.write_text(TOKEN)
    server = RunningServer(qing.binary, "--port", 0, "--state", tmp_path / "volume", "--job-runner", "kubernetes",
                           "--kubernetes-token", token, "--kubernetes-authority", authority.file, "--kubernetes-namespace", "training",
                           "--kubernetes-image", "qing:0.1.0", "--kubernetes-claim", "qing-state")  # fmt: skip
    try:
        client, job = begin(server)
        done = finished(client, job)
        assert done.status == "succeeded", (done.error, server.logged())
    finally:
        server.stop()


def test_names_are_told_apart_by_hashes(start, cluster_of):
    """Ids of jobs have upper-case letters, and names of Kubernetes have none."""
    cluster = cluster_of()
    client, job = begin(start(cluster))
    assert finished(client, job).status == "succeeded"
    ((_, _, body),) = cluster.asked("POST")
    assert body["metadata"]["name"] == f"qing-{job.id.lower()}-{hashlib.sha256(job.id.encode()).hexdigest()[:8]}"
