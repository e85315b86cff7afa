"""Starts servers and puts load on them."""

import contextlib
import json
import os
import resource
import socket
import subprocess
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
TICK = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A process and its children that answer on `port`."""

    def __init__(self, command, port, environment=None):
        self.url = f"http://127.0.0.1:{port}"
        self.port = port
        begun = time.monotonic()
        self.process = subprocess.Popen(
            [str(part) for part in command],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **(environment or {})},
        )
        while not self.ready():
            if self.process.poll() is not None or time.monotonic() - begun > 60:
                self.stop()
                raise SystemExit(f"{command[0]} did not become ready (exit code {self.process.returncode})")
            time.sleep(0.001)
        self.seconds_to_ready = time.monotonic() - begun

    def ready(self):
        with contextlib.suppress(OSError):
            with urllib.request.urlopen(self.url + "/health/ready", timeout=5) as response:
                return response.status == 200
        return False

    def family(self):
        pids = [self.process.pid]
        for pid in pids:
            for thread in Path(f"/proc/{pid}/task").iterdir():
                pids += map(int, (thread / "children").read_text().split())
        return pids

    def memory_mb(self):
        """Returns the resident memory, summed over the process and its children. Shared pages count more than once."""
        pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self.family())
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def cpu_seconds(self):
        total = 0
        for pid in self.family():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
        return total / TICK

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(40)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


@dataclass
class Load:
    """Results of a wrk run and its CPU cost."""

    rate: float  # answers with 2xx per second
    errors: float  # other answers per second
    broken: int  # broken connections
    p50: float  # ms
    p99: float  # ms
    client_share: float  # CPU seconds of wrk over wall seconds
    server_share: float


def wrk(server, path, connections, seconds, bodies=None, scratch=None, pause=0):
    """Puts load on the server, on all CPUs that this process may use. The server shares these CPUs. A connection waits
    `pause` ms after each answer, on average."""
    script = scratch / "get.lua"
    lines = (HERE / "post.lua").read_text()
    environment = {**os.environ, "PAUSE": str(pause)}
    if bodies is None:
        lines = lines[lines.index("done =") :]
    else:
        (scratch / "bodies").write_text("".join(json.dumps(body, ensure_ascii=False) + "\n" for body in bodies))
        environment["BODIES"] = str(scratch / "bodies")
    script.write_text(lines)
    before, server_before = resource.getrusage(resource.RUSAGE_CHILDREN), server.cpu_seconds()
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}", "--timeout", "30", "-s", script, server.url + path]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True, env=environment)
    after, server_after = resource.getrusage(resource.RUSAGE_CHILDREN), server.cpu_seconds()
    found = dict(line.split() for line in done.stdout.splitlines() if len(line.split()) == 2)
    wall = int(found["microseconds"]) / 1e6
    bad = int(found["status_errors"])
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Load(
        rate=(int(found["requests"]) - bad) / wall,
        errors=bad / wall,
        broken=int(found["socket_errors"]),
        p50=int(found["p50"]) / 1e3,
        p99=int(found["p99"]) / 1e3,
        client_share=used / wall,
        server_share=(server_after - server_before) / wall,
    )


class Probe:
    """Requests a route repeatedly on one connection in the background and records the latencies in ms."""

    def __init__(self, port, path, pause=0.02):
        import threading

        self.latencies, self.failures, self._stop = [], 0, threading.Event()
        self._thread = threading.Thread(target=self._run, args=(port, path, pause))
        self._thread.start()

    def _run(self, port, path, pause):
        import http.client

        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        while not self._stop.wait(pause):
            begun = time.perf_counter()
            try:
                connection.request("GET", path)
                response = connection.getresponse()
                response.read()
                self.failures += response.status != 200
            except OSError:
                self.failures += 1
                connection.close()
            self.latencies.append(1e3 * (time.perf_counter() - begun))

    def percentile(self, share):
        self._stop.set()
        self._thread.join()
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
