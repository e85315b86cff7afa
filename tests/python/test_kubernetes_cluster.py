"""The manifests and trainings before a real API server, with the rights of the manifests and no others."""

import json

import pytest
from conftest import RunningServer
from job_tools import client_of, finished, messages, wait_for
from kubernetes_cluster import CACHE, COLLECTIONS, ControlPlane, subject_of
from test_deploy_cluster import manifests
from kubernetes_servers import LONG
from test_slurm_jobs import QUICK, begin, underway

NAMESPACE = "training"
# Rights that every account has.
EVERYBODYS = {"authorization.k8s.io", "authentication.k8s.io", "certificates.k8s.io"}


@pytest.fixture(scope="module")
def plane(tmp_path_factory):
    yaml = pytest.importorskip("yaml")
    plane = ControlPlane(tmp_path_factory.mktemp("kubernetes"))
    try:
        plane.new_namespace(NAMESPACE)
        plane.new_namespace("other")
        for body in manifests("kubernetes-jobs.yaml"):
            if body["kind"] in ("ServiceAccount", "Role", "RoleBinding", "PersistentVolumeClaim"):
                status, answer = plane.create(body, NAMESPACE)
                assert status == 201, answer
        status, answer = plane.ask("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
                                   yaml.safe_load((CACHE / "mpijobs.yaml").read_text()))  # fmt: skip
        assert status == 201, answer
        plane.wait(lambda: plane.ask("GET", COLLECTIONS["MPIJob"].format(NAMESPACE))[0] == 200, "the type of MPIJobs")
        yield plane
    finally:
        plane.stop()


@pytest.fixture
def start(qing, plane, tmp_path, monkeypatch):
    """start(*options) starts a server with a token of the manifests' account. The pods of its jobs run."""
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")
    state, token = tmp_path / "volume/qing/state", tmp_path / "token"
    state.parent.mkdir(parents=True)
    token.write_text(plane.token_of("qing-jobs", NAMESPACE))
    servers = []

    def run(*options, trains=True, namespace=NAMESPACE):
        if trains and plane.kubelet is None:
            plane.run_pods(qing.binary, tmp_path / "volume")
        server = RunningServer(qing.binary, "--port", 0, "--state", state, "--job-runner", "kubernetes",
                               "--kubernetes-server", plane.url, "--kubernetes-token", token,
                               "--kubernetes-authority", plane.authority.file, "--kubernetes-namespace", namespace,
                               "--kubernetes-image", "qing:0.1.0", "--kubernetes-claim", "qing-state",
                               "--kubernetes-claim-path", "qing/state", "--kubernetes-service-account", "qing-training",
                               *options)  # fmt: skip
        server.folder = state
        servers.append(server)
        return server

    yield run
    for server in servers:
        server.stop()
    if plane.kubelet is not None:
        plane.kubelet.stop()
        plane.kubelet = None


@pytest.mark.parametrize("file", ["kubernetes.yaml", "kubernetes-jobs.yaml"])
def test_the_api_server_takes_the_manifests(plane, file):
    """Strictly: a field that it does not know is a fault."""
    for body in manifests(file):
        status, answer = plane.create(body, "other", "dryRun=All&fieldValidation=Strict")
        assert status == 201, (body["kind"], answer)
        status, answer = plane.create({**body, "specs": {}}, "other", "dryRun=All&fieldValidation=Strict")
        assert status == 400 and 'unknown field "specs"' in answer["message"], (body["kind"], answer)


def test_the_account_may_do_what_the_server_does_and_nothing_more(plane):
    token = plane.token_of("qing-jobs", NAMESPACE)
    assert subject_of(token) == f"system:serviceaccount:{NAMESPACE}:qing-jobs"
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": {"namespace": NAMESPACE}}
    status, answer = plane.ask("POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", review, token)
    assert status == 201, answer
    rules = {(rule["apiGroups"][0], rule["resources"][0]): set(rule["verbs"]) for rule in answer["status"]["resourceRules"]}
    own = {key: verbs for key, verbs in rules.items() if key[0] not in EVERYBODYS}
    assert own == {("batch", "jobs"): {"create", "get", "delete"}, ("", "pods"): {"list"},
                   ("kubeflow.org", "mpijobs"): {"create", "get", "delete"}}  # fmt: skip
    for kind, namespace in [("Job", NAMESPACE), ("Job", "other"), ("Secret", NAMESPACE), ("Pod", "other"), ("Role", NAMESPACE)]:
        status, _ = plane.ask("GET", COLLECTIONS[kind].format(namespace), token=token)
        assert status == 403, (kind, namespace)
    assert plane.ask("GET", COLLECTIONS["Pod"].format(NAMESPACE), token=token)[0] == 200
    none = plane.token_of("qing-training", NAMESPACE)
    for kind in COLLECTIONS:
        assert plane.ask("GET", COLLECTIONS[kind].format(NAMESPACE), token=none)[0] == 403, kind


def test_a_pod_trains_a_model_that_is_served(start, plane):
    server = start("--kubernetes-minutes", 30, "--job-cores", 1, "--job-memory", 900)
    client, job = underway(server, LONG)
    (made,) = plane.items("Job", NAMESPACE)
    assert made["metadata"]["labels"]["qing/job"] == job.id
    (manager,) = {entry["manager"] for entry in made["metadata"]["managedFields"] if entry["operation"] == "Update" and "status" not in entry.get("subresource", "")}
    assert manager == "qing"
    done = finished(client, job)
    assert done.status == "succeeded", (done.error, messages(client, job), server.logged())
    wait_for(lambda: not plane.items("Job", NAMESPACE) and not plane.items("Pod", NAMESPACE))
    assert "kubernetes_not_asked" not in server.logged(), server.logged()


def test_a_paused_job_goes_on_and_another_server_finds_it(start, plane):
    server = start()
    client, job = underway(server, LONG)
    client.fine_tuning.jobs.pause(job.id)
    wait_for(lambda: not plane.items("Job", NAMESPACE))
    assert not plane.items("Pod", NAMESPACE), "the Job went before its pod"
    end = json.loads((server.folder / "jobs" / job.id / "end.json").read_text())
    assert end["code"] == 4, "it was not asked for a checkpoint"
    client.fine_tuning.jobs.resume(job.id)
    (second,) = wait_for(lambda: plane.items("Job", NAMESPACE))
    server.stop()
    assert plane.items("Job", NAMESPACE)[0]["metadata"]["uid"] == second["metadata"]["uid"]
    client = client_of(start())
    done = finished(client, job)
    assert done.status == "succeeded", (done.error, messages(client, job))
    assert len([line for line in messages(client, job) if line.startswith("Submitted to Kubernetes")]) == 2


def test_a_cancelled_job_and_its_pod_go(start, plane):
    server = start()
    client, job = underway(server, {**LONG, "epochs": 400})
    client.fine_tuning.jobs.cancel(job.id)
    wait_for(lambda: not plane.items("Job", NAMESPACE))
    assert not plane.items("Pod", NAMESPACE)
    wait_for(lambda: not (server.folder / "jobs" / job.id).exists())


def test_an_evicted_pod_goes_on_from_its_checkpoint(start, plane):
    """By the eviction of a drained node: the Job fails, and what is left is another Job."""
    server = start()
    client, job = underway(server, LONG)
    (pod,) = plane.items("Pod", NAMESPACE)
    name = pod["metadata"]["name"]
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": NAMESPACE}}
    status, answer = plane.ask("POST", f"{COLLECTIONS['Pod'].format(NAMESPACE)}/{name}/eviction", eviction)
    assert status == 201, answer
    done = finished(client, job)
    assert done.status == "succeeded", (done.error, messages(client, job), server.logged())
    told = messages(client, job)
    assert len([line for line in told if line.startswith("Submitted to Kubernetes")]) == 2, told
    assert not any(line.startswith("Attempt") for line in told), told


def test_a_quota_makes_jobs_wait(start, plane):
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"}, "spec": {"hard": {"count/jobs.batch": "0"}}}
    assert plane.create(quota, NAMESPACE)[0] == 201
    path = COLLECTIONS["ResourceQuota"].format(NAMESPACE) + "/none"
    try:
        server = start()  # at once: the quota's use may not be known yet
        client, job = begin(server, QUICK)
        wait_for(lambda: "exceeded quota" in server.logged())
        wait_for(lambda: "Kubernetes cannot be asked now. The server tries again." in messages(client, job))
    finally:
        assert plane.ask("DELETE", path)[0] == 200
    done = finished(client, job)
    assert done.status == "succeeded", (done.error, messages(client, job))
    assert not any(line.startswith("Attempt") for line in messages(client, job))


def test_several_ranks_are_an_mpi_job(start, plane):
    """No MPI operator runs here. Its type checks the object."""
    server = start("--kubernetes-ranks", 3, trains=False)
    client, job = begin(server, QUICK)
    (made,) = wait_for(lambda: plane.items("MPIJob", NAMESPACE))
    replicas = {role: replica["replicas"] for role, replica in made["spec"]["mpiReplicaSpecs"].items()}
    assert replicas == {"Launcher": 1, "Worker": 3}
    for replica in made["spec"]["mpiReplicaSpecs"].values():  # the type does not check the pods' templates
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {**replica["template"]["metadata"], "name": "rank"},
               "spec": replica["template"]["spec"]}  # fmt: skip
        status, answer = plane.create(pod, NAMESPACE, "dryRun=All&fieldValidation=Strict")
        assert status == 201, answer
    client.fine_tuning.jobs.cancel(job.id)
    wait_for(lambda: not plane.items("MPIJob", NAMESPACE))
    wait_for(lambda: not (server.folder / "jobs" / job.id).exists())


def test_a_refusal_is_told(start, plane):
    server = start(trains=False, namespace="other")
    client, job = begin(server, QUICK)
    done = finished(client, job)
    assert done.status == "failed" and done.error.code == "kubernetes_refused", done.error
    assert "HTTP 403 Forbidden: jobs.batch" in done.error.message and "cannot" in done.error.message
