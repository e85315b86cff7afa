"""Two replicas behind nginx are restarted one after the other under load."""

import http.client
import json
import signal
import threading
import time
import urllib.error
import urllib.request

import pytest
from conftest import RunningServer, free_port, within
from nginx import nginx_before, unverified

CLIENTS = 4
BODY = json.dumps({"texts": ["I love this film"]})


class Load:
    """Clients that send predictions one after the other. Each keeps its connection as long as the server does."""

    def __init__(self, port):
        self.port = port
        self.failures, self.answered = [], [0] * CLIENTS
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(number,)) for number in range(CLIENTS)]
        for thread in self.threads:
            thread.start()

    def run(self, number):
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=30, context=unverified())
        while not self.stop.is_set():
            try:
                connection.request("POST", "/v1/models/emotion_analysis/predict", BODY, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                content = answer.read()
                if answer.status != 200 or json.loads(content)["predictions"][0]["label"] != "positive":
                    self.failures.append((answer.status, content))
                self.answered[number] += 1
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
                connection.close()

    def end(self):
        self.stop.set()
        for thread in self.threads:
            thread.join()


def ready(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


@pytest.fixture
def replicas(qing, models_root):
    """start(port) starts a replica."""
    running = {}

    def start(port):
        running[port] = RunningServer(qing.binary, "--port", port, "--models", models_root, "--drain-delay", 1)
        return running[port]

    yield start
    for server in running.values():
        server.stop()


def test_a_rolling_restart_loses_no_request(replicas, tmp_path):
    ports = [free_port(), free_port()]
    servers = {port: replicas(port) for port in ports}
    with nginx_before(ports, tmp_path) as front:
        load = Load(front)
        try:
            assert within(30, lambda: min(load.answered) > 20), load.failures[:3]
            for port in ports * 2:
                server = servers[port]
                before = sum(load.answered)
                server.process.send_signal(signal.SIGTERM)
                # The replica says that it goes, but still answers.
                assert within(5, lambda port=port: ready(port) == 503)
                assert server.process.poll() is None
                assert server.process.wait(timeout=30) == 0
                assert ready(port) is None
                servers[port] = replicas(port)
                assert ready(port) == 200
                assert within(30, lambda before=before: sum(load.answered) > before + 20), load.failures[:3]
        finally:
            load.end()
    assert not load.failures, (len(load.failures), load.failures[:3])
    for port in ports:
        code, log = servers[port].stop()
        lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
        answered = [line for line in lines if line["event"] == "request" and line["route"].endswith("/predict")]
        assert code == 0 and answered, "both replicas answer at the end"


def test_a_reload_during_the_delay_does_not_end_the_server(replicas):
    port = free_port()
    server = replicas(port)
    server.process.send_signal(signal.SIGTERM)
    assert within(5, lambda: ready(port) == 503)
    begun = time.monotonic()
    server.process.send_signal(signal.SIGHUP)
    assert server.process.wait(timeout=30) == 0
    assert time.monotonic() - begun > 0.2
