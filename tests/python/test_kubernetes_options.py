"""The options of trainings by Kubernetes: of servers, of requests and of the command."""

import hashlib
import json

import pytest
from conftest import RunningServer, synthetic_rows
from job_tools import client_of, finished, upload
from kubernetes_servers import TOKEN, authority, cluster_of, start  # noqa: F401
from test_slurm_jobs import QUICK, begin, make


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

    def written(changes):
        config = tmp_path / "qing.toml"
        entries = {name: value for name, value in {**good, **changes}.items() if value is not None}
        config.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in entries.items()))
        return config

    assert qing("check-config", written({}), "--without-models").returncode == 0
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
        config = written(changes)
        refused = qing("check-config", config, "--without-models", check=False)
        assert refused.returncode == 2 and words in refused.stderr, (changes, refused.stderr)
        started = qing("serve", "--config", config, "--port", 0, check=False)
        assert started.returncode != 0 and words in started.stderr, (changes, started.stderr)


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
