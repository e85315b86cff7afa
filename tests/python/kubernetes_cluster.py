"""A real Kubernetes without nodes, on loopback: etcd, the API server and its controllers, which tests/kubernetes/build.sh builds.
A kubelet of this file runs the pods' commands as processes of this machine."""

import base64
import json
import os
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from conftest import free_port
from job_tools import end_daemons
from pod_process import PodProcess, ended_status
from test_tls_commands import Authority, openssl

CACHE = Path(os.environ.get("QING_CACHE", Path.home() / ".cache/qing")) / "kubernetes"
ADMIN = "the-token-of-the-tests"
NAMES = "IP:127.0.0.1,DNS:localhost"
COLLECTIONS = {
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments",
    "HorizontalPodAutoscaler": "/apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers",
    "Job": "/apis/batch/v1/namespaces/{}/jobs",
    "MPIJob": "/apis/kubeflow.org/v2beta1/namespaces/{}/mpijobs",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies",
    "PersistentVolumeClaim": "/api/v1/namespaces/{}/persistentvolumeclaims",
    "Pod": "/api/v1/namespaces/{}/pods",
    "PodDisruptionBudget": "/apis/policy/v1/namespaces/{}/poddisruptionbudgets",
    "ResourceQuota": "/api/v1/namespaces/{}/resourcequotas",
    "Role": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/roles",
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/rolebindings",
    "Secret": "/api/v1/namespaces/{}/secrets",
    "Service": "/api/v1/namespaces/{}/services",
    "ServiceAccount": "/api/v1/namespaces/{}/serviceaccounts",
}


class ControlPlane:
    def __init__(self, folder):
        missing = [name for name in ("etcd", "kube-apiserver", "kube-controller-manager", "mpijobs.yaml") if not (CACHE / name).exists()]
        if missing:
            pytest.skip(f"{', '.join(missing)} of Kubernetes are not built; run tests/kubernetes/build.sh")
        self.folder, self.daemons, self.kubelet = folder, [], None
        self.authority = Authority(folder / "authority", "the cluster")
        _, certificate, _, key = self.authority.sign("api", NAMES)
        accounts = folder / "accounts.key"
        openssl("genrsa", "-out", accounts, "2048")
        (folder / "tokens.csv").write_text(f"{ADMIN},admin,admin,system:masters\n")
        database, peers, port = free_port(), free_port(), free_port()
        self.url = f"https://127.0.0.1:{port}"
        self.context = ssl.create_default_context(cafile=self.authority.file)
        self.start("etcd", f"--data-dir={folder}/etcd", f"--listen-client-urls=http://127.0.0.1:{database}",
                   f"--advertise-client-urls=http://127.0.0.1:{database}", f"--listen-peer-urls=http://127.0.0.1:{peers}",
                   "--unsafe-no-fsync", "--log-level=error")  # fmt: skip
        self.start("kube-apiserver", f"--etcd-servers=http://127.0.0.1:{database}", "--bind-address=127.0.0.1", f"--secure-port={port}",
                   "--advertise-address=127.0.0.1", f"--tls-cert-file={certificate}", f"--tls-private-key-file={key}",
                   f"--token-auth-file={folder}/tokens.csv", "--authorization-mode=RBAC", "--service-cluster-ip-range=10.0.0.0/24",
                   f"--service-account-key-file={accounts}", f"--service-account-signing-key-file={accounts}",
                   "--service-account-issuer=https://kubernetes.default.svc", "--endpoint-reconciler-type=none")  # fmt: skip
        self.wait(lambda: self.ask("GET", "/readyz")[0] == 200, "kube-apiserver")
        config = folder / "controllers.json"
        config.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": self.url, "certificate-authority": str(self.authority.file)}}],
            "users": [{"name": "c", "user": {"token": ADMIN}}], "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}]}))  # fmt: skip
        self.start("kube-controller-manager", f"--kubeconfig={config}", "--leader-elect=false", "--bind-address=127.0.0.1",
                   f"--secure-port={free_port()}", f"--service-account-private-key-file={accounts}",
                   "--controllers=job-controller,garbage-collector-controller,serviceaccount-controller,namespace-controller,"
                   "resourcequota-controller,disruption-controller")  # fmt: skip

    def start(self, name, *words):
        with open(self.folder / f"{name}.log", "w") as out:
            daemon = subprocess.Popen([CACHE / name, *words], stdout=out, stderr=subprocess.STDOUT, cwd=self.folder)
        self.daemons.append(daemon)

    def wait(self, look, what, seconds=120):
        end = time.monotonic() + seconds
        while True:
            try:
                if look():
                    return
            except OSError:
                pass
            if time.monotonic() > end or any(daemon.poll() is not None for daemon in self.daemons):
                logs = "".join(path.read_text()[-2000:] for path in self.folder.glob("*.log"))
                self.stop()
                raise AssertionError(f"{what} does not run: {logs}")
            time.sleep(0.2)

    def stop(self):
        if self.kubelet:
            self.kubelet.stop()
        end_daemons(self.daemons)

    def ask(self, method, path, body=None, token=ADMIN, kind="application/json"):
        """Status and JSON of an answer."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Authorization": f"Bearer {token}", "Content-Type": kind}, method=method)
        try:
            answer = urllib.request.urlopen(request, timeout=30, context=self.context)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            content = answer.read()
        return answer.status, json.loads(content) if content.startswith(b"{") else content

    def create(self, body, namespace, query="fieldValidation=Strict", token=ADMIN):
        return self.ask("POST", f"{COLLECTIONS[body['kind']].format(namespace)}?{query}", body, token)

    def items(self, kind, namespace):
        return self.ask("GET", COLLECTIONS[kind].format(namespace))[1]["items"]

    def new_namespace(self, name):
        status, answer = self.ask("POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        assert status == 201, answer
        self.wait(lambda: self.items("ServiceAccount", name), "the controller of service accounts")

    def token_of(self, account, namespace):
        """A token as the kubelet gets for a pod."""
        path = f"{COLLECTIONS['ServiceAccount'].format(namespace)}/{account}/token"
        status, answer = self.ask("POST", path, {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}})
        assert status == 201, answer
        return answer["status"]["token"]

    def run_pods(self, binary, volume):
        self.kubelet = Kubelet(self, binary, volume)


class Kubelet:
    """Also the scheduler: every pod gets the same node, which need not exist."""

    def __init__(self, plane, binary, volume):
        self.plane, self.binary, self.volume = plane, binary, volume
        self.processes, self.asked = {}, set()
        self.ends = threading.Event()
        self.thread = threading.Thread(target=self.work)
        self.thread.start()

    def stop(self):
        self.ends.set()
        self.thread.join()
        for process in self.processes.values():
            if process.code() is None:
                process.process.kill()
            process.process.wait()

    def work(self):
        while not self.ends.wait(0.2):
            status, pods = self.plane.ask("GET", "/api/v1/pods")
            for pod in pods["items"] if status == 200 else []:
                self.look_at(pod)

    def look_at(self, pod):
        path = f"{COLLECTIONS['Pod'].format(pod['metadata']['namespace'])}/{pod['metadata']['name']}"
        uid, deleted = pod["metadata"]["uid"], "deletionTimestamp" in pod["metadata"]
        if "nodeName" not in pod["spec"]:
            if not deleted:
                binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": pod["metadata"]["name"]},
                           "target": {"apiVersion": "v1", "kind": "Node", "name": "node-1"}}  # fmt: skip
                status, answer = self.plane.ask("POST", path + "/binding", binding)
                assert status == 201, answer
            return
        if uid not in self.processes:
            self.processes[uid] = PodProcess(pod, self.binary, self.volume)
            self.tell(path, {"phase": "Running", "containerStatuses": [{"name": "qing", "state": {"running": {}}}]})
        process = self.processes[uid]
        if deleted and process.code() is None:
            if uid not in self.asked:  # once, as a kubelet does
                self.asked.add(uid)
                process.process.terminate()
        elif process.code() is not None and pod["status"]["phase"] not in ("Succeeded", "Failed"):
            self.tell(path, ended_status(process.code()))
        elif process.code() is not None and deleted:
            self.plane.ask("DELETE", path, {"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0})

    def tell(self, path, status):
        for one in status["containerStatuses"]:
            one.update(image="", imageID="", ready=False, restartCount=0)
        code, answer = self.plane.ask("PATCH", path + "/status", {"status": status}, kind="application/merge-patch+json")
        assert code in (200, 404), answer


def subject_of(token):
    """The name in a token of a service account."""
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["sub"]
