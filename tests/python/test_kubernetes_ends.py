"""What a training by Kubernetes makes of the ends of its pods, of refusals and of outages."""

import json
import time

import pytest
from job_tools import client_of, finished, messages, wait_for
from kubernetes_servers import LONG, TOKEN, authority, cluster_of, end_pod, look_twice, start, wait_for_pod  # noqa: F401
from pod_process import ended_status
from test_slurm_jobs import SLOW, begin, underway
from test_tls_commands import Authority


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
        (403, "status unknown for quota: jobs", {}),
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
    client, job = underway(server, LONG)
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


def test_a_token_that_cannot_be_read_now_costs_no_attempt(start, cluster_of):
    cluster = cluster_of()
    server = start(cluster)
    server.token.unlink()
    client, job = begin(server)
    wait_for(lambda: "job_not_submitted" in server.logged())
    server.token.write_text(TOKEN)
    done = finished(client, job)
    assert done.status == "succeeded", done.error
    assert not any("Attempt" in line for line in messages(client, job))


def test_a_slow_api_server_holds_up_no_stop(start, cluster_of):
    cluster = cluster_of()
    server = start(cluster)
    client, job = underway(server, SLOW)
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
