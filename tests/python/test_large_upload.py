"""A data set of QING_UPLOAD_GB gigabytes, made while it is sent: the server's memory stays small. Skipped without the variable,
because the set is stored once, for the time of the test."""

import hashlib
import http.client
import itertools
import json
import os
import threading
import time
import urllib.request
from pathlib import Path

import pytest
from walk_tools import change

GIGABYTES = float(os.environ.get("QING_UPLOAD_GB", "0"))
LONG_ROW = 10_000_000
HEAD = b'--B\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nfine-tune\r\n' \
       b'--B\r\nContent-Disposition: form-data; name="file"; filename="large.tsv"\r\n\r\n'  # fmt: skip
TAIL = b"\r\n--B--\r\n"


class Rows:
    """A TSV file in pieces of about a megabyte, with a row of 10 MB in its tenth line, and a row without a label after it."""

    def __init__(self, size):
        self.size, self.digest, self.sent, self.rows = size, hashlib.sha256(), 0, 0

    def pieces(self):
        yield self.count(b"label\ttext\n")
        while self.sent < self.size:
            lines = []
            for _ in range(5000 if self.rows else 8):
                self.rows += 1
                lines.append(b"label %d\trow %09d %s\n" % (self.rows % 3, self.rows, b"all is well with the lamp " * 7))
            if self.rows == 8:
                lines += [b"label 1\t" + b"x" * LONG_ROW + b"\n", b"no label\n"]
            yield self.count(b"".join(lines))

    def count(self, piece):
        self.digest.update(piece)
        self.sent += len(piece)
        return piece


def status_bytes(server, name):
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith(name + ":"))


def computed_seconds(server):
    """CPU time of all threads."""
    tasks = Path(f"/proc/{server.process.pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


@pytest.mark.skipif(GIGABYTES == 0, reason="QING_UPLOAD_GB is not set")
def test_a_set_of_gigabytes(serve, models_root, tmp_path):
    size = int(GIGABYTES * 1e9)
    state = tmp_path / "state"
    server = serve("--models", models_root, "--state", state, "--file-bytes", 2 * size)
    change(server, "POST", "/v1/models/emotion_analysis/predict", {"texts": ["warm up"]})
    Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")  # VmHWM begins anew
    before, computed = status_bytes(server, "VmRSS"), computed_seconds(server)
    rows, slowest, ended = Rows(size), [0.0], threading.Event()

    def watch():
        while not ended.wait(0.1):
            begun = time.monotonic()
            change(server, "GET", "/health/ready")
            slowest[0] = max(slowest[0], time.monotonic() - begun)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        connection = http.client.HTTPConnection(server.endpoint.removeprefix("http://"), timeout=3600)
        connection.putrequest("POST", "/v1/files")
        connection.putheader("Content-Type", "multipart/form-data; boundary=B")
        connection.putheader("Transfer-Encoding", "chunked")
        connection.endheaders()
        begun = time.monotonic()
        for piece in itertools.chain([HEAD], rows.pieces(), [TAIL]):
            connection.send(b"%x\r\n%b\r\n" % (len(piece), piece))
        connection.send(b"0\r\n\r\n")
        sent = time.monotonic() - begun
        answer = connection.getresponse()
        made = json.load(answer)
        examined = time.monotonic() - begun
    finally:
        ended.set()
        watcher.join()
    grown = status_bytes(server, "VmHWM") - before
    print(json.dumps({"bytes": rows.sent, "rows": rows.rows, "seconds to send": round(sent, 1), "to the answer": round(examined, 1),
                      "of CPU time": round(computed_seconds(server) - computed, 1),
                      "resident before, MB": round(before / 1e6, 1), "growth at the peak, MB": round(grown / 1e6, 1),
                      "slowest health, s": round(slowest[0], 3)}))  # fmt: skip
    assert answer.status == 200, made
    assert (made["bytes"], made["sha256"], made["rows"]) == (rows.sent, rows.digest.hexdigest(), rows.rows)
    assert made["wrong_rows"] == 2 and [error["line"] for error in made["errors"]] == [10, 11]
    assert "longer than the limit of 1048576 bytes" in made["errors"][0]["message"]
    assert made["duplicates"] == made["contradictions"] == 0
    assert grown < 64e6
    assert [path.stat().st_size for path in (state / "files").iterdir()] == [rows.sent], "the set is stored once"
    request = urllib.request.Request(f"{server.endpoint}/v1/files/{made['id']}", method="DELETE")
    assert json.load(urllib.request.urlopen(request))["deleted"] is True
    assert not list((state / "files").iterdir())
