"""A mixed load: clients of every protocol whose answers are all checked, bad clients, reloaded models, stopped and killed
servers. It takes half a minute, or QING_SOAK_MINUTES."""

import contextlib
import http.client
import json
import os
import random
import shutil
import signal
import socket
import statistics
import threading
import time

import pytest
from conftest import EN, EN_THINGS, ZH, ZH_THINGS, RunningServer, small_training

SECONDS = 60 * float(os.environ.get("QING_SOAK_MINUTES", "0.5"))
LOST = (OSError, http.client.HTTPException)


def some_texts():
    templates = [(text, things) for kinds, things in ((EN, EN_THINGS), (ZH, ZH_THINGS)) for kind in kinds.values()
                 for text in kind]  # fmt: skip
    texts = [text.format(thing) for text, things in templates for thing in things]
    return texts + [" ".join(texts[i : i + 40]) for i in range(0, 40, 4)] + ["", "☂", "a" * 3000]


class Replica:
    """A server on its own port, which can be restarted."""

    def __init__(self, start):
        self.start_server, self.port = start, 0
        self.in_rotation = False
        self.start()

    def start(self):
        self.server = self.start_server(self.port)
        self.port = int(self.server.endpoint.rpartition(":")[2])
        self.in_rotation = True

    def resident_bytes(self):
        with open(f"/proc/{self.server.process.pid}/statm") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Soak:
    def __init__(self, replicas, keys, texts):
        self.replicas, self.keys, self.texts = replicas, keys, texts
        self.expected = {}  # (version, text) -> the native protocol's answer for the text alone
        self.ended = threading.Event()
        self.failures, self.counts, self.lock = [], {}, threading.Lock()
        self.memory, self.slowest_health = [], 0.0

    def count(self, what, number=1):
        with self.lock:
            self.counts[what] = self.counts.get(what, 0) + number

    def fail(self, what):
        with self.lock:
            self.failures.append(what)

    def learn(self):
        for version in (1, 2):
            assert self.admin(self.replicas[0], "/load", {"version": version}) == 200
            for text in self.texts:
                answer = self.ask(self.replicas[0], "/v1/models/mood/predict", {"texts": [text]})
                assert answer["version"] == str(version)
                self.expected[str(version), text] = answer["predictions"][0]
        assert self.expected["1", self.texts[0]] != self.expected["2", self.texts[0]]

    @staticmethod
    def send(connection, method, path, body, key):
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        connection.request(method, path, None if body is None else json.dumps(body).encode(), headers)
        answer = connection.getresponse()
        return answer.status, answer.read()

    def ask(self, replica, path, body, method="POST"):
        connection = http.client.HTTPConnection("127.0.0.1", replica.port, timeout=30)
        status, content = self.send(connection, method, path, body, self.keys["predict"])
        connection.close()
        assert status == 200, (status, content)
        return json.loads(content)

    def admin(self, replica, change, body, method="POST"):
        connection = http.client.HTTPConnection("127.0.0.1", replica.port, timeout=30)
        status, _ = self.send(connection, method, "/v1/admin/models/mood" + change, body, self.keys["admin"])
        connection.close()
        return status

    # Each protocol: the request, and the labels of the answers, with version and scores if the protocol has them.
    def native(self, texts):
        answer = yield "/v1/models/mood/predict", {"texts": texts}
        yield answer["version"], [(one["label"], one["scores"]) for one in answer["predictions"]]

    def kserve(self, texts):
        answer = yield "/v1/models/mood:predict", {"instances": texts}
        yield None, [(one["label"], one["scores"]) for one in answer["predictions"]]

    def open_inference(self, texts):
        tensor = {"name": "text", "shape": [len(texts)], "datatype": "BYTES", "data": texts}
        answer = yield "/v2/models/mood/infer", {"inputs": [tensor]}
        labels = next(output["data"] for output in answer["outputs"] if output["name"] == "label")
        yield answer["model_version"], [(label, None) for label in labels]

    def hugging_face(self, texts):
        answer = yield "/models/mood", {"inputs": texts}
        yield None, [(ranked[0]["label"], {one["label"]: one["score"] for one in ranked}) for ranked in answer]

    def check(self, texts, version, answers):
        if len(answers) != len(texts):
            return self.fail(f"{len(answers)} answers to {len(texts)} texts")
        possible = []
        for known in ("1", "2") if version is None else (version,):
            right = [self.expected[known, text] for text in texts]
            possible.append(all(label == one["label"] and scores in (None, one["scores"])
                                for (label, scores), one in zip(answers, right)))  # fmt: skip
        if not any(possible):
            self.fail(f"version {version}: an answer is not that of its text: {texts} {answers}")

    def good_client(self, seed):
        rng = random.Random(seed)
        connections = {}
        while not self.ended.is_set():
            texts = [rng.choice(self.texts) for _ in range(rng.choice((1, 1, 2, 8)))]
            protocol = rng.choice((self.native, self.kserve, self.open_inference, self.hugging_face))
            for _ in range(20):
                replica = rng.choice([replica for replica in self.replicas if replica.in_rotation])
                if replica.port not in connections:
                    connections[replica.port] = http.client.HTTPConnection("127.0.0.1", replica.port, timeout=30)
                steps = protocol(texts)
                try:
                    status, content = self.send(connections[replica.port], "POST", *next(steps), self.keys["predict"])
                except LOST:  # this server was stopped or killed, and the other one answers
                    connections.pop(replica.port).close()
                    self.count("tried again")
                    time.sleep(0.01)
                    continue
                if status != 200:
                    self.fail(f"{protocol.__name__}: {status} {content[:200]}")
                    break
                self.check(texts, *steps.send(json.loads(content)))
                self.count("answers checked", len(texts))
                break
            else:
                self.fail("no replica answered")

    def bad_request(self, rng):
        body = json.dumps({"texts": ["x"] * 50}).encode()
        head = (f"POST /v1/models/mood/predict HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {self.keys['predict']}\r\n"
                "Content-Type: application/json\r\n").encode()  # fmt: skip
        whole = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
        return rng.choice([
            whole[: rng.randrange(1, len(whole))],  # then the client leaves
            whole * 20,  # the answers are not read
            rng.randbytes(300),
            head + b"Content-Length: 99999999999\r\n\r\n",
            head + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            head + b"Content-Length: 9\r\n\r\n{\"texts\":",
            head + b"Content-Length: 16\r\n\r\n{\"texts\":[\"\xff\xfe\"]}",
            whole.replace(self.keys["predict"].encode(), b"nobody.nothing"),
            b"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n" * 3,
        ])  # fmt: skip

    def bad_client(self, seed):
        rng = random.Random(seed)
        while not self.ended.is_set():
            replica = rng.choice(self.replicas)
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", replica.port), timeout=1) as client:
                client.sendall(self.bad_request(rng))
                if rng.random() < 0.5:
                    client.settimeout(0.1)
                    answer = client.recv(4096)
                    if answer.startswith(b"HTTP/1.1 5"):
                        self.fail(f"a bad client was answered {answer[:300]}")
                if rng.random() < 0.5:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # close() resets the connection
            self.count("bad clients")
            time.sleep(0.02)

    def reload(self):
        rng = random.Random(3)
        while not self.ended.wait(0.3):
            for replica in self.replicas[:1] + [one for one in self.replicas[1:] if one.in_rotation]:
                with contextlib.suppress(*LOST):
                    status = self.admin(replica, "/load", {"version": rng.choice((1, 2))})
                    self.count("reloads")
                    if status != 200:
                        self.fail(f"a reload was answered {status}")
            trial = {"version": rng.choice((1, 2)), "share": 0.5, "shadow": True}
            self.admin(self.replicas[0], "/trial", trial, "PUT")  # refused for the version that answers

    def restart(self):
        replica, killed = self.replicas[1], False
        while not self.ended.wait(max(2.0, SECONDS / 60)):
            if not killed:  # during the load
                replica.server.process.kill()
                replica.in_rotation = False
                replica.server.process.communicate()
                self.count("kills")
            else:  # like an orchestrator: no new requests, then the signal
                replica.in_rotation = False
                time.sleep(0.2)
                replica.server.process.send_signal(signal.SIGTERM)
                replica.server.process.communicate(timeout=40)
                self.count("stops")
                if replica.server.process.returncode != 0:
                    self.fail(f"SIGTERM: exit {replica.server.process.returncode}")
            replica.start()
            killed = not killed

    def watch(self):
        while not self.ended.wait(0.1):
            begun = time.monotonic()
            self.ask(self.replicas[0], "/health/ready", None, "GET")
            self.slowest_health = max(self.slowest_health, time.monotonic() - begun)
            self.memory.append(self.replicas[0].resident_bytes())

    def run(self):
        def guarded(work, *arguments):
            try:
                work(*arguments)
            except Exception as error:  # noqa: BLE001: any failure counts
                self.fail(f"{work.__name__}: {error!r}")

        work = [(self.good_client, seed) for seed in range(4)] + [(self.bad_client, seed) for seed in range(2)]
        work += [(self.reload,), (self.restart,), (self.watch,)]
        threads = [threading.Thread(target=guarded, args=one, daemon=True) for one in work]
        for thread in threads:
            thread.start()
        time.sleep(SECONDS)
        self.ended.set()
        for thread in threads:
            thread.join()


@pytest.fixture(scope="module")
def two_versions(qing, models_root, tiny_data, tmp_path_factory):
    root = tmp_path_factory.mktemp("soak") / "models"
    shutil.copytree(models_root / "emotion_analysis/1", root / "mood/1")
    qing(*small_training(tiny_data, root / "mood/2", "--max-steps", 5))
    return root


def test_mixed_load(qing, two_versions, tmp_path):
    store = tmp_path / "keys.db"
    keys = {scope: qing("keys", "create", "--store", store, "--name", scope, "--scopes", scope).stdout.strip()
            for scope in ("predict", "admin")}  # fmt: skip

    def start(root):
        return lambda port: RunningServer(qing.binary, "--port", port, "--models", root, "--keys", store,
                                          "--log-requests", "false", "--request-time", 2, "--idle-time", 20)  # fmt: skip

    roots = []  # each replica with a registry of its own
    for name in ("a", "b"):
        roots.append(shutil.copytree(two_versions, tmp_path / name))
    replicas = [Replica(start(root)) for root in roots]
    soak = Soak(replicas, keys, some_texts())
    try:
        soak.learn()
        soak.run()
    finally:
        ends = [replica.server.stop()[0] for replica in replicas]
    assert not soak.failures, (len(soak.failures), soak.failures[:3])
    assert ends == [0, 0]
    quarter = len(soak.memory) // 4
    before, after = (statistics.median(part) for part in (soak.memory[quarter : 2 * quarter], soak.memory[-quarter:]))
    print(f"{SECONDS:.0f} s: {soak.counts}; memory {before / 1e6:.1f} MB, then {after / 1e6:.1f} MB; "
          f"health at most {1e3 * soak.slowest_health:.0f} ms")  # fmt: skip
    assert min(soak.counts[what] for what in ("kills", "stops")) >= 1
    assert soak.counts["answers checked"] > 20 * SECONDS and soak.counts["bad clients"] > SECONDS
    # Buffers and the allocator's reserves grow for some minutes. After that the memory must not grow.
    assert after < (1.03 * before if SECONDS >= 600 else 2 * before)
