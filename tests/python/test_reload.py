"""Models that change under load, kills while the state is written, options from files and variables."""

import http.client
import json
import os
import shutil
import signal
import subprocess
import threading
import time
import urllib.parse

import pytest
from conftest import RunningServer, small_training


def request(endpoint, method, path, body=None):
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(endpoint).netloc, timeout=30)
    headers = {"Content-Type": "application/json"} if body is not None else {}
    connection.request(method, path, None if body is None else json.dumps(body), headers)
    answer = connection.getresponse()
    status, content = answer.status, json.loads(answer.read())
    connection.close()
    return status, content


@pytest.fixture(scope="session")
def trained(qing, models_root, tiny_data, tmp_path_factory):
    """Two models that score differently."""
    other = tmp_path_factory.mktemp("other") / "model"
    qing(*small_training(tiny_data, other, "--max-steps", 5))
    return models_root / "emotion_analysis/1", other


@pytest.fixture
def two_versions(trained, tmp_path):
    root = tmp_path / "models"
    for version, source in enumerate(trained, 1):
        shutil.copytree(source, root / f"mood/{version}")
    return root


TEXTS = ["I love this film", "我讨厌这个手机"]


def test_200_reloads_under_load(two_versions, serve):
    endpoint = serve("--models", two_versions).endpoint
    predict = ("POST", "/v1/models/mood/predict", {"texts": TEXTS})
    right = {}
    for version in (1, 2):
        assert request(endpoint, "POST", "/v1/admin/models/mood/load", {"version": version})[0] == 200
        right[str(version)] = request(endpoint, *predict)[1]["predictions"]
    assert right["1"] != right["2"]
    ended, wrong, seen = threading.Event(), [], {"1": 0, "2": 0}

    def ask():
        connection = http.client.HTTPConnection(urllib.parse.urlsplit(endpoint).netloc, timeout=30)
        while not ended.is_set():
            try:
                connection.request(predict[0], predict[1], json.dumps(predict[2]), {"Content-Type": "application/json"})
                answer = connection.getresponse()
                content = json.loads(answer.read())
                if answer.status != 200 or content["predictions"] != right[content["version"]]:
                    wrong.append((answer.status, content))
                else:
                    seen[content["version"]] += 1
            except Exception as error:  # noqa: BLE001: any failure counts
                wrong.append(repr(error))
                return

    askers = [threading.Thread(target=ask, daemon=True) for _ in range(4)]
    for asker in askers:
        asker.start()
    slowest = 0
    for i in range(200):
        status, content = request(endpoint, "POST", "/v1/admin/models/mood/load", {"version": i % 2 + 1})
        assert (status, content["version"]) == (200, str(i % 2 + 1))
        begin = time.monotonic()
        assert request(endpoint, "GET", "/health/ready")[0] == 200
        slowest = max(slowest, time.monotonic() - begin)
    ended.set()
    for asker in askers:
        asker.join()
    assert not wrong, wrong[:3]
    assert min(seen.values()) > 20, seen
    print(f"{seen} answers, health at most {slowest * 1e3:.1f} ms")


def test_a_broken_version_replaces_nothing(two_versions, serve):
    server = serve("--models", two_versions)
    weights = two_versions / "mood/3/model.safetensors"
    shutil.copytree(two_versions / "mood/2", two_versions / "mood/3")
    weights.write_bytes(weights.read_bytes()[:5000])
    server.process.send_signal(signal.SIGHUP)
    for _ in range(200):
        model = request(server.endpoint, "GET", "/v1/models/mood")[1]
        if "error" in model:
            break
        time.sleep(0.05)
    assert model["version"] == "2" and model["error"].startswith("version 3: ")
    assert request(server.endpoint, "POST", "/v1/models/mood/predict", {"texts": TEXTS})[0] == 200
    shutil.copy(two_versions / "mood/2/model.safetensors", weights)
    assert request(server.endpoint, "POST", "/v1/admin/rescan")[0] == 200
    model = request(server.endpoint, "GET", "/v1/models/mood")[1]
    assert model["version"] == "3" and model["previous"] == "2" and "error" not in model
    assert request(server.endpoint, "POST", "/v1/admin/models/mood/rollback")[1]["version"] == "2"


def test_kill_during_writes_leaves_a_readable_state(two_versions, qing):
    for round_ in range(30):
        server = RunningServer(qing.binary, "--port", 0, "--models", two_versions)
        acknowledged = 0
        try:
            for i in range(100_000):
                if i == round_ % 5:  # after some changes, at different moments of a change
                    threading.Timer(0.001 * round_, server.process.kill).start()
                body = {"model": "mood", "version": i % 2 + 1}
                assert request(server.endpoint, "PUT", f"/v1/admin/aliases/a{round_}-{i}", body)[0] == 200
                acknowledged += 1
        except (OSError, http.client.HTTPException):
            server.process.wait()
        server.process.communicate()
        state = json.loads((two_versions / ".registry.json").read_text()) if acknowledged else None
        server = RunningServer(qing.binary, "--port", 0, "--models", two_versions)
        aliases = request(server.endpoint, "GET", "/v1/admin/aliases")[1]["aliases"]
        assert server.stop()[0] == 0
        if state:
            assert all(f"a{round_}-{i}" in aliases for i in range(acknowledged))
            assert len(state["aliases"]) == len(aliases)
    assert aliases


def test_options_from_file_and_environment(models_root, qing, tmp_path):
    config = tmp_path / "qing.toml"
    config.write_text(f'models = "{models_root}"\naddress = "127.0.0.2"\nport = 0\n')
    server = RunningServer(qing.binary, "--config", config)
    assert server.endpoint.startswith("http://127.0.0.2:")
    assert server.stop()[0] == 0
    environment = {**os.environ, "QING_SERVE_CONFIG": str(config), "QING_SERVE_ADDRESS": "0.0.0.0"}
    refused = subprocess.run([qing.binary, "serve"], env=environment, capture_output=True, text=True, timeout=60)
    assert refused.returncode == 1 and "0.0.0.0" in refused.stderr  # other machines reach it: keys are needed
    environment["QING_SERVE_ALLOW_NO_KEYS"] = "true"
    process = subprocess.Popen([qing.binary, "serve", "--address", "127.0.0.3"], env=environment, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, text=True)  # fmt: skip
    line = process.stdout.readline()
    process.terminate()
    assert line.startswith("listening on http://127.0.0.3:") and process.wait(30) == 0
    config.write_text("model = 'x'\n")
    refused = qing("serve", "--config", config, check=False)
    assert refused.returncode == 2 and "model: no such key" in refused.stderr


def test_the_example_configuration_is_one(qing):
    from conftest import ROOT

    refused = qing("serve", "--config", ROOT / "serve/deploy/qing.toml", check=False)
    assert refused.returncode == 1 and "/var/lib/qing/models" in refused.stderr
