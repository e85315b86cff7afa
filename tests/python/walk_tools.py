"""What the walks through the service share: clients that send known texts all the time, and clocks of a job's steps."""

import http.client
import json
import random
import threading
import time
import urllib.request
from typing import NamedTuple

from conftest import ask

MODEL = "emotion_analysis"
ADMIN = f"/v1/admin/models/{MODEL}"
LOST = (OSError, http.client.HTTPException)


class Answer(NamedTuple):
    begun: float
    ended: float
    texts: tuple
    version: str
    predictions: list


def change(server, method, path, body=None):
    """Sends a request of an admin or a client. Returns its JSON, which must come with 200."""
    status, _, answer = ask(server.endpoint + path, body, method=method)
    assert status == 200, (method, path, status, answer)
    return answer


def active(server):
    return change(server, "GET", f"/v1/models/{MODEL}")["version"]


def alone(server, model, texts):
    """What a model answers to each text by itself. No two answers are equal, so that a mixed-up one is seen."""
    found = {}
    for text in texts:
        (found[text],) = change(server, "POST", f"/v1/models/{model}/predict", {"texts": [text]})["predictions"]
    distinct = {json.dumps(one, sort_keys=True) for one in found.values()}
    assert len(distinct) == len(found), "two texts have the same answer; choose other texts"
    return found


class SteadyLoad:
    """Clients that send batches of known texts at a steady pace until the block ends. With `forgiving`, a lost connection is
    no failure, because the server is killed meanwhile."""

    def __init__(self, server, texts, clients=3, rate=40, forgiving=False):
        self.port = int(server.endpoint.rpartition(":")[2])
        self.texts, self.rate, self.forgiving = list(texts), rate, forgiving
        self.answers, self.failures, self.lost = [], [], 0
        self.ended = threading.Event()
        self.threads = [threading.Thread(target=self._send, args=(seed,), daemon=True) for seed in range(clients)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        for thread in self.threads:
            thread.join()

    def _send(self, seed):
        rng = random.Random(seed)
        connection, due = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30), time.monotonic()
        while not self.ended.is_set():
            texts = tuple(rng.sample(self.texts, rng.choice([1, 1, 2, 3, 6])))
            begun = time.monotonic()
            try:
                connection.request("POST", f"/v1/models/{MODEL}/predict", json.dumps({"texts": texts}),
                                   {"Content-Type": "application/json"})  # fmt: skip
                response = connection.getresponse()
                status, content = response.status, response.read()
            except LOST as error:
                connection.close()
                self.lost += 1
                if not self.forgiving:
                    self.failures.append(repr(error))
                self.ended.wait(0.02)
                continue
            if status == 200:
                body = json.loads(content)
                self.answers.append(Answer(begun, time.monotonic(), texts, body["version"], body["predictions"]))
            elif not (self.forgiving and status == 503):  # a server that begins is not ready yet
                self.failures.append((status, content))
            due = max(due + 1 / self.rate, time.monotonic() - 1)
            self.ended.wait(max(0.0, due - time.monotonic()))
        connection.close()

    def during(self, begun, ended=float("inf")):
        """The answers to requests that were sent and answered in this time."""
        return [one for one in list(self.answers) if begun <= one.begun and one.ended <= ended]

    def check(self, expected):
        """Every answer is that of its text from the version that it names; expected[version][text] is known."""
        assert not self.failures, (len(self.failures), self.failures[:3])
        for one in self.answers:
            right = [expected[one.version][text] for text in one.texts]
            assert one.predictions == right, (one.version, one.texts, one.predictions, right)


class StepClock:
    """Notes when each step of a job is written into its metrics."""

    def __init__(self, state, job):
        self.path = state / "jobs" / job / "model/run/metrics.jsonl"
        self.seen, self.ended = {}, threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()

    def _watch(self):
        while not self.ended.wait(0.005):
            if self.path.exists():
                break
        else:
            return
        with self.path.open(encoding="utf-8") as metrics:  # the job's end renames its folder; the file stays open
            part = ""
            while True:
                last = self.ended.is_set()
                part += metrics.read()
                now = time.time()
                *lines, part = part.split("\n")
                for line in lines:
                    step = json.loads(line)
                    if step["type"] == "step":
                        self.seen.setdefault(step["step"], now)
                if last:
                    return
                time.sleep(0.005)


class EventStream:
    """Reads the server-sent events of a job, and notes when each event with a step's loss arrives."""

    def __init__(self, server, job):
        self.url = f"{server.endpoint}/v1/fine_tuning/jobs/{job}/events?stream=true"
        self.events, self.steps, self.last = [], {}, ""
        self.thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.thread.join()

    def _read(self):
        with urllib.request.urlopen(self.url, timeout=60) as stream:
            for line in stream:
                if not line.startswith(b"data: "):
                    continue
                self.last = line[6:].decode().strip()
                if self.last == "[DONE]":
                    return
                event = json.loads(self.last)
                self.events.append(event)
                if event["type"] == "metrics" and "train_loss" in event["data"]:
                    self.steps.setdefault(event["data"]["step"], time.time())


def delays(clock, arrivals):
    """Seconds between a step's line in the metrics and its arrival, ascending."""
    common = clock.seen.keys() & arrivals.keys()
    return sorted(arrivals[step] - clock.seen[step] for step in common)
