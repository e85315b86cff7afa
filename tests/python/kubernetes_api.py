"""A stand-in for the API server, the Job controller and the kubelet of a Kubernetes cluster. It answers over TLS, refuses what a
real one refuses, and notes every request that qing should not send."""

import copy
import json
import re
import ssl
import threading
import time
import urllib.parse
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from kubernetes_types import faults, mpi_faults, name_faults
from pod_process import PodProcess, ended_status

PATHS = re.compile(r"/(?:apis/(batch/v1|kubeflow\.org/v2beta1)|api/(v1))/namespaces/([a-z0-9-]+)/(jobs|mpijobs|pods)(?:/([a-z0-9-]+))?")
KINDS = {"batch/v1": ("jobs", "Job", "Complete"), "kubeflow.org/v2beta1": ("mpijobs", "MPIJob", "Succeeded")}
CREATE = "fieldManager=qing&fieldValidation=Strict"


class Cluster:
    """`trains`: pods run their command. Without it they stay pending until a test says otherwise."""

    def __init__(self, certificate, key, token, binary=None, volume=None, trains=True):
        self.token, self.binary, self.volume, self.trains = token, binary, volume, trains
        self.lock = threading.RLock()
        self.objects, self.pods, self.processes = {}, {}, {}
        self.requests, self.faults, self.failures = [], [], []
        self.delay, self.lost = 0, set()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Handler,), {"cluster": self}))
        self.server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"https://127.0.0.1:{self.server.server_port}"
        self.ends = threading.Event()
        self.threads = [threading.Thread(target=self.server.serve_forever, args=(0.05,)), threading.Thread(target=self.kubelet)]
        for thread in self.threads:
            thread.start()

    def stop(self):
        self.ends.set()
        self.server.shutdown()
        self.server.server_close()
        for thread in self.threads:
            thread.join()
        for process in self.processes.values():
            if process.code() is None:
                process.process.kill()
            process.process.wait()

    # Called by tests.

    def fail(self, method, path, status, message="no", reason="", times=1, headers=()):
        """The next requests of this method whose path matches get this answer. Status 0: none, the connection ends."""
        with self.lock:
            self.failures.append([method, path, status, message, reason, times, dict(headers)])

    def lose_answer(self, method):
        """The next request of this method does its work, and its answer is lost."""
        self.lost.add(method)

    def works_again(self):
        with self.lock:
            self.failures.clear()

    def asked(self, method, path=""):
        with self.lock:
            return [one for one in self.requests if one[0] == method and re.search(path, one[1])]

    def object(self):
        """The only object, or none."""
        with self.lock:
            assert len(self.objects) <= 1, list(self.objects)
            return copy.deepcopy(next(iter(self.objects.values()), None))

    def set_pod(self, status, role=None):
        """The status of all pods, or of those with a role of an MPIJob."""
        with self.lock:
            for pod in self.pods.values():
                if role is None or pod["metadata"]["labels"].get("training.kubeflow.org/job-role") == role:
                    pod["status"] = copy.deepcopy(status)

    def set_condition(self, kind, reason="", name=None):
        with self.lock:
            for own, one in self.objects.items():
                if name in (None, own):
                    one["status"]["conditions"].append({"type": kind, "status": "True", "reason": reason})

    def drop(self):
        """As if someone had deleted the object in the background, and its pods were gone."""
        with self.lock:
            self.objects.clear()
            self.pods.clear()

    def end_pods(self):
        """SIGKILL to the containers."""
        with self.lock:
            for process in self.processes.values():
                process.process.kill()

    # Called by requests and by the kubelet, as a cluster does it.

    def create(self, resource, body):
        name = body["metadata"]["name"]
        made = copy.deepcopy(body)
        made["metadata"]["uid"] = str(uuid.uuid4())
        made["status"] = {"conditions": []}
        self.objects[name] = made
        spec = body["spec"]
        if resource == "jobs":
            self.add_pod(name, name, spec["template"], {"batch.kubernetes.io/job-name": name})
        else:
            for role, count in (("Launcher", 1), ("Worker", spec["mpiReplicaSpecs"]["Worker"]["replicas"])):
                for i in range(count):
                    labels = {"training.kubeflow.org/job-name": name, "training.kubeflow.org/job-role": role.lower()}
                    self.add_pod(f"{name}-{role.lower()}-{i}", name, spec["mpiReplicaSpecs"][role]["template"], labels)
        return made

    def add_pod(self, name, owner, template, labels):
        pod = copy.deepcopy(template)
        pod["metadata"].update(name=name, owner=owner, labels={**pod["metadata"]["labels"], **labels})
        pod["status"] = {"phase": "Pending"}
        self.pods[name] = pod
        command = pod["spec"]["containers"][0]["command"]
        if self.trains and not command[0].endswith("sshd"):
            self.processes[name] = PodProcess(pod, self.binary, self.volume)
            pod["status"] = {"phase": "Running"}
        elif self.trains:
            pod["status"] = {"phase": "Running"}

    def kubelet(self):
        """Also the controllers: an object ends with its pod, and a deleted one is gone when its pods are."""
        while not self.ends.wait(0.05):
            with self.lock:
                for name, pod in list(self.pods.items()):
                    process = self.processes.get(name)
                    code = process.code() if process else None
                    if code is None or pod["status"]["phase"] != "Running":
                        continue
                    pod["status"] = ended_status(code)
                    one = self.objects.get(pod["metadata"]["owner"])
                    if one is None:
                        continue
                    done = "Succeeded" if one["kind"] == "MPIJob" else "Complete"
                    self.set_condition(done if code == 0 else "Failed", "" if code == 0 else "BackoffLimitExceeded", one["metadata"]["name"])
                for name, one in list(self.objects.items()):
                    if "deletionTimestamp" not in one["metadata"]:
                        continue
                    own = [pod for pod, body in self.pods.items() if body["metadata"]["owner"] == name]
                    if any(self.processes[pod].code() is None for pod in own if pod in self.processes):
                        continue
                    for pod in own:
                        del self.pods[pod]
                        self.processes.pop(pod, None)
                    del self.objects[name]

    def delete(self, name):
        one = self.objects[name]
        one["metadata"].setdefault("deletionTimestamp", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
        for pod, body in self.pods.items():
            if body["metadata"]["owner"] == name and pod in self.processes and self.processes[pod].code() is None:
                self.processes[pod].process.terminate()
        return one


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    cluster = None

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.answer("GET")

    def do_POST(self):
        self.answer("POST")

    def do_DELETE(self):
        self.answer("DELETE")

    def do_PUT(self):
        self.answer("PUT")

    def do_PATCH(self):
        self.answer("PATCH")

    def send(self, status, body, headers=None):
        if self.command in self.cluster.lost:
            self.cluster.lost.remove(self.command)
            self.close_connection = True
            return
        content = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": len(content), **(headers or {})}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(content)

    def refuse(self, status, reason, message, headers=None):
        body = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "reason": reason, "code": status}
        self.send(status, body, headers)

    def fault(self, what):
        self.cluster.faults.append(f"{self.command} {self.path}: {what}")

    def answer(self, method):
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        url = urllib.parse.urlsplit(self.path)
        time.sleep(self.cluster.delay)
        with self.cluster.lock:
            body = json.loads(content) if content else None
            self.cluster.requests.append((method, self.path, body))
            for failure in self.cluster.failures:
                wanted, path, status, message, reason, times, headers = failure
                if method != wanted or not re.search(path, self.path) or times == 0:
                    continue
                failure[5] -= 1
                if status == 0:
                    self.close_connection = True
                    return
                return self.refuse(status, reason, message, headers)
            if self.headers.get("Authorization") != f"Bearer {self.cluster.token}":
                return self.refuse(401, "Unauthorized", "Unauthorized")
            if (content and self.headers.get("Content-Type") != "application/json") or self.headers.get("Host") != self.cluster.url[8:]:
                self.fault(f"headers {dict(self.headers)}")
            found = PATHS.fullmatch(url.path)
            if not found:
                self.fault("no such path")
                return self.refuse(404, "NotFound", "the server could not find the requested resource")
            group, core, namespace, resource, name = found.groups()
            if namespace != "training":
                self.fault("another namespace")
            if core:
                return self.pods(method, resource, name, url.query)
            if KINDS[group][0] != resource:
                self.fault("a resource of another group")
            self.objects(method, group, resource, name, url.query, body)

    def pods(self, method, resource, name, query):
        chosen = urllib.parse.parse_qs(query)
        if method != "GET" or resource != "pods" or name or chosen.keys() != {"labelSelector"}:
            self.fault("no request for pods")
        key, _, value = chosen["labelSelector"][0].partition("=")
        items = [pod for pod in self.cluster.pods.values() if pod["metadata"]["labels"].get(key) == value]
        self.send(200, {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items})

    def objects(self, method, group, resource, name, query, body):
        objects = self.cluster.objects
        if method == "POST" and name is None:
            if query != CREATE:
                self.fault("another query")
            for what in self.body_faults(group, body):
                self.fault(what)
            if body["metadata"]["name"] in objects:
                message = f'{resource} "{body["metadata"]["name"]}" already exists'
                return self.refuse(409, "AlreadyExists", message)
            return self.send(201, self.cluster.create(resource, body))
        if query:
            self.fault("a query")
        if name not in objects:
            return self.refuse(404, "NotFound", f'{resource} "{name}" not found')
        if method == "GET":
            return self.send(200, objects[name])
        if method != "DELETE":
            self.fault("another method")
        for what in faults(body, "V1DeleteOptions", "DeleteOptions"):
            self.fault(what)
        if body["propagationPolicy"] != "Foreground":
            self.fault("pods would be left behind")
        uid = objects[name]["metadata"]["uid"]
        if body["preconditions"]["uid"] != uid:
            return self.refuse(409, "Conflict", f"the UID in the precondition does not match {uid}")
        self.send(200, self.cluster.delete(name))

    @staticmethod
    def body_faults(group, body):
        _, kind, _ = KINDS[group]
        found = name_faults(body)
        if (body["apiVersion"], body["kind"], body["metadata"]["namespace"]) != (group, kind, "training"):
            found.append("another kind or namespace")
        if body.keys() != {"apiVersion", "kind", "metadata", "spec"}:
            found.append("other members")
        return found + (faults(body, "V1Job", "Job") if kind == "Job" else mpi_faults(body["spec"]))
