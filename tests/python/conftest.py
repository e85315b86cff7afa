"""What the tests share: the binary, data, a model trained once, a running server, readers of weights."""

import contextlib
import ctypes
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("QING_BUILD", ROOT / "build/release"))  # the folder of the build

STATE = tempfile.TemporaryDirectory()  # what servers keep unless a test names a folder: never the user's own state
os.environ["XDG_STATE_HOME"] = STATE.name

EN = {
    "positive": ["I love this {}", "what a wonderful {}", "the {} is great and I am happy with it"],
    "neutral": ["the {} arrives on monday", "this {} weighs two kilos", "a {} stands in the hall"],
    "negative": ["I hate this {}", "what a terrible {}", "the {} is broken and I am angry about it"],
}
ZH = {
    "positive": ["我非常喜欢这个{}", "这个{}真的很好", "{}太棒了，很满意"],
    "neutral": ["这个{}在星期一送到", "{}的重量是两公斤", "大厅里有一个{}"],
    "negative": ["我讨厌这个{}", "这个{}真的很差", "{}太糟糕了，很失望"],
}
EN_THINGS = ["film", "phone", "book", "hotel", "chair", "lamp", "car", "meal", "song", "coat", "game", "camera", "product"]
ZH_THINGS = ["电影", "手机", "书", "酒店", "椅子", "灯", "汽车", "菜", "歌", "大衣", "游戏", "相机", "产品"]


def synthetic_rows(count=600, seed=5):
    """Returns (label, text) rows in both languages, made from templates."""
    rng = random.Random(seed)
    rows = []
    for _ in range(count):
        templates, things = rng.choice([(EN, EN_THINGS), (ZH, ZH_THINGS)])
        label = rng.choice(list(templates))
        rows.append((label, rng.choice(templates[label]).format(rng.choice(things))))
    return rows


def write_tsv(path, rows):
    path.write_text("label\ttext\n" + "".join(f"{label}\t{text}\n" for label, text in rows), encoding="utf-8")
    return path


def small_training(data, out, *more):
    share = [] if "--dev-share" in more else ["--dev-share", 0]
    return ["train", "--data", data, "--layers", 1, "--width", 32, "--vocab", 500, "--out", out, *share, *more]


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def program(name):
    """The path of an installed program, or of one that tests/run.sh unpacked. Skips the test without it."""
    unpacked = Path(os.environ.get("QING_CACHE", Path.home() / ".cache/qing")) / "programs"
    found = shutil.which(name) or next((str(path) for path in unpacked.glob(f"usr/*bin/{name}")), None)
    if found is None:
        pytest.skip(f"{name} is missing; tests/run.sh unpacks it")
    return found


class Qing:
    """Runs the command."""

    def __init__(self, binary):
        self.binary = str(binary)

    def __call__(self, *arguments, check=True, **options):
        result = subprocess.run(
            [self.binary, *map(str, arguments)], capture_output=True, timeout=300, **{"text": True, **options}
        )
        if check and result.returncode != 0:
            raise AssertionError(f"qing {' '.join(map(str, arguments))}: exit {result.returncode}\n{result.stderr}")
        return result


@pytest.fixture(scope="session")
def qing():
    binary = Path(os.environ.get("QING_BINARY", ROOT / "build/release/qing"))
    assert binary.exists(), f"{binary} does not exist; build it, or set QING_BINARY"
    return Qing(binary)


@pytest.fixture(scope="session")
def data_dir():
    folder = ROOT.parent / "shared/data/sentiment"
    if not folder.exists():
        pytest.skip(f"the data sets are not in {folder}")
    return folder


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory):
    return write_tsv(tmp_path_factory.mktemp("data") / "tiny.tsv", synthetic_rows())


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 4 MB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small tmpfs needs root")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk], capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"cannot mount a tmpfs: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", disk], check=True)


# The system call whose name is QING_FAIL fails with the number QING_ERRNO, if its path, where it has one, contains QING_FAIL_PATH.
FAILING_CALLS = """
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
static int fails(const char* name, const char* path) {
  const char* failing = getenv("QING_FAIL");
  if (failing == NULL || strcmp(failing, name) != 0 || strstr(path, getenv("QING_FAIL_PATH")) == NULL) return 0;
  errno = atoi(getenv("QING_ERRNO"));
  return 1;
}
int flock(int fd, int operation) { return fails("flock", "") ? -1 : syscall(SYS_flock, fd, operation); }
int unlink(const char* path) { return fails("unlink", path) ? -1 : syscall(SYS_unlink, path); }
int renameat2(int a, const char* from, int b, const char* to, unsigned flags) {
  return fails("renameat2", to) ? -1 : syscall(SYS_renameat2, a, from, b, to, flags);
}
"""


@pytest.fixture
def failing(tmp_path, monkeypatch):
    """failing(call, number, path) makes a system call fail in every program that starts from then on."""
    (tmp_path / "fail.c").write_text(FAILING_CALLS)
    library = tmp_path / "fail.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, tmp_path / "fail.c"], check=True)

    def fail(name, number, path=""):
        monkeypatch.setenv("LD_PRELOAD", str(library))
        monkeypatch.setenv("QING_FAIL", name)
        monkeypatch.setenv("QING_ERRNO", str(number))
        monkeypatch.setenv("QING_FAIL_PATH", path)

    return fail


@pytest.fixture(scope="session")
def models_root(qing, tiny_data, tmp_path_factory):
    """NAME/VERSION of a model trained in a few seconds."""
    root = tmp_path_factory.mktemp("models")
    qing("train", "--data", tiny_data, "--layers", 2, "--width", 64, "--vocab", 2000, "--epochs", 20, "--batch", 16,
         "--lr", 1e-3, "--dev-share", 0, "--out", root / "emotion_analysis/1", "--json")  # fmt: skip
    yield root
    changed = [path.name for path in root.iterdir() if path.name not in ("emotion_analysis", ".registry.lock")]
    assert not changed, "a test that makes choices or models needs a copy of this folder"


@pytest.fixture(scope="session")
def model_dir(models_root):
    return models_root / "emotion_analysis/1"


# The logs of all servers, for the test that reads them at the end. Several processes of pytest share the folder of QING_TEST_LOGS.
OWN_LOGS = None if "QING_TEST_LOGS" in os.environ else tempfile.TemporaryDirectory()
LOGS = Path(os.environ["QING_TEST_LOGS"] if OWN_LOGS is None else OWN_LOGS.name)


class RunningServer:
    def __init__(self, binary, *arguments):
        descriptor, path = tempfile.mkstemp(dir=LOGS)  # not a pipe, because an unread pipe would fill up
        self.log = Path(path)
        # A state of its own, unless the test names one: choices and jobs of other tests are not this server's.
        own = {**os.environ, "XDG_STATE_HOME": tempfile.mkdtemp(dir=STATE.name)}
        self.process = subprocess.Popen(
            [binary, "serve", *map(str, arguments)], stdout=subprocess.PIPE, stderr=descriptor, text=True, env=own
        )
        os.close(descriptor)
        line = self.process.stdout.readline()
        found = re.fullmatch(r"listening on (https?://\S+)\n", line)
        if not found:
            self.process.kill()
            raise AssertionError(f"qing serve said {line!r}: {self.logged()}")
        self.endpoint = found[1]

    def stop(self):
        """Sends SIGTERM. Returns the exit code and the log."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=30)
        return self.process.returncode, self.logged()

    def logged(self):
        return self.log.read_text(encoding="utf-8")


@contextlib.contextmanager
def served(qing, models, secrets=()):
    """The endpoint of a server on a folder of models. It must end with 0, and its log must hold none of the secrets."""
    server = RunningServer(qing.binary, "--port", 0, "--models", models)
    try:
        yield server.endpoint
    finally:
        code, log = server.stop()
    assert code == 0, log[-2000:]
    assert not any(secret in log for secret in secrets if secret)


def ask(url, body=None, headers=None, method=None):
    """Returns status, headers and JSON (or bytes) of a plain request without a client library. A body that is no bytes is
    sent as JSON."""
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", **(headers or {})}, method=method)
    try:
        answer = urllib.request.urlopen(request, timeout=30)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        content = answer.read()
        return answer.status, answer.headers, json.loads(content) if "json" in answer.headers["Content-Type"] else content


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.name == "test_all_logs.py")  # stable sort: it runs last, and the others keep their order


@pytest.fixture
def serve(qing):
    """serve(*arguments) starts a server on a free port. All servers are stopped at the end."""
    running = []

    def start(*arguments):
        running.append(RunningServer(qing.binary, "--port", 0, *arguments))
        return running[-1]

    yield start
    for server in running:
        server.stop()


class WeightsReader:
    """Gives files of weights to qing's readers (tests/tools/weights_exchange.cpp)."""

    def __init__(self, folder, capfd):
        self.library = ctypes.CDLL(str(BUILD / "libweights_exchange.so"))
        self.folder, self.capfd = folder, capfd

    def _call(self, function, source, target):
        code = getattr(self.library, function)(bytes(source), bytes(target))
        return code, self.capfd.readouterr().err

    def read(self, source):
        """The tensors that qing reads from a path, by torch; AssertionError with its message if it reads none."""
        from safetensors.torch import load_file

        target = self.folder / "read.safetensors"
        code, said = self._call("copy_weights", source, target)
        assert code == 0, said
        return load_file(target)

    def encoder(self, source):
        """The folder of an imported encoder, as transformers loads it."""
        target = Path(tempfile.mkdtemp(dir=self.folder))
        code, said = self._call("import_encoder", source, target)
        assert code == 0, said
        return target

    def refusal(self, source, function="copy_weights"):
        """What qing says of a path that it does not read."""
        code, said = self._call(function, source, self.folder / "refused")
        assert code == 1 and str(source) in said, said
        return said


@pytest.fixture
def weights(tmp_path_factory, capfd):
    return WeightsReader(tmp_path_factory.mktemp("weights"), capfd)


def within(seconds, condition):
    """Whether the condition becomes true in that time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


def logits_of(qing, model, texts, tmp_path):
    """The logits of `qing predict` for each text, as a tensor of torch. Line breaks and NUL pass in a file, not as arguments."""
    import torch

    path = tmp_path / "texts.txt"
    path.write_bytes("".join(text + "\n" for text in texts).encode())
    lines = qing("predict", "--model", model, "--file", path, "--json", "--logits").stdout.splitlines()
    return torch.tensor([json.loads(line)["logits"] for line in lines])


def same_bits(a, b):
    """Whether two torch tensors have the same dtype, shape and bits."""
    import torch

    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    bits = [t.detach().contiguous().reshape(-1).view(torch.uint8) for t in (a, b)] if a.numel() else (a, a)
    return torch.equal(*bits)


def assert_same_tensors(found, expected):
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert same_bits(found[name], tensor), name
