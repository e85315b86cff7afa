"""Training jobs by Kubernetes, with a stand-in for the cluster that trains the pods as processes of this machine."""

import json
import shutil
from pathlib import Path

import pytest
from job_tools import client_of, finished, kill, messages, wait_for, weights_of
from kubernetes_servers import LONG, authority, cluster_of, look_twice, start, wait_for_pod  # noqa: F401
from test_slurm_jobs import SLOW, begin, step_of, underway


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
    client, job = underway(server, {**LONG, "epochs": 480})  # Open MPI waits 20 s before it passes SIGTERM on
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
    client, job = underway(server, SLOW)
    client.fine_tuning.jobs.cancel(job.id)
    wait_for(lambda: cluster.object() is None)
    assert client.fine_tuning.jobs.retrieve(job.id).status == "cancelled"
    wait_for(lambda: not (server.folder / "jobs" / job.id).exists())
    assert len({body["preconditions"]["uid"] for _, _, body in cluster.asked("DELETE")}) == 1


def test_a_paused_job_goes_on_from_its_checkpoint(start, cluster_of):
    cluster = cluster_of()
    server = start(cluster)
    client, job = underway(server, LONG)
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
    client, job = underway(server, LONG)
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
    client, job = underway(server, LONG)
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
    client, job = underway(server, LONG)
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
