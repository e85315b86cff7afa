"""Fixtures and steps of the tests of trainings by Kubernetes: a stand-in for the cluster, and servers that use it."""

import pytest
from conftest import RunningServer
from job_tools import wait_for
from kubernetes_api import Cluster
from test_slurm_jobs import QUICK
from test_tls_commands import Authority

TOKEN = "eyJhbGciOiJSUzI1NiJ9.first-token-of-the-service-account"
LONG = {**QUICK, "epochs": 120, "batch": 8}


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
