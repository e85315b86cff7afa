"""`qing check-config`, and what `qing serve` checks before it loads models."""

import json
import os
import shutil
import subprocess
import time

import pytest
from conftest import ROOT, RunningServer, ask
from nginx import certificate


def write(path, text):
    path.write_text(text)
    return path


def test_a_good_file_is_told_what_it_serves(qing, models_root, tmp_path):
    config = write(tmp_path / "qing.toml", f'models = "{models_root}"\nstate = ""\nport = 8080\n[serve]\ntexts = 10\n')
    checked = qing("check-config", config)
    assert checked.stdout.splitlines() == [
        "model emotion_analysis version 1: negative, neutral, positive",
        f"{config}: 4 keys, no fault",
    ]
    assert qing("check-config", config, "--without-models").stdout == f"{config}: 4 keys, no fault\n"
    assert qing("check-config", write(config, 'state = ""\n'), "--without-models").stdout == f"{config}: 1 key, no fault\n"


def test_every_fault_is_told_with_its_line(qing, tmp_path):
    keys = write(tmp_path / "keys", "short\n")
    config = write(
        tmp_path / "qing.toml",
        f"""models = "{tmp_path}/none"
port = 70000
modles = "x"
texts = 0

predict-time = -1
jobs = "many"
log-client = "half"
log-client = "off"
""",
    )
    refused = qing("check-config", config, check=False)
    assert refused.returncode == 2 and "log-client" in refused.stderr and f"{config}:9" in refused.stderr  # no TOML

    config.write_text(config.read_text().replace('log-client = "off"\n', f'keys = "{keys}"\ncors-origin = ["https://App.example/"]\n'))
    refused = qing("check-config", config, check=False)
    lines = [line.removeprefix("qing: error: ") for line in refused.stderr.splitlines() if not line.startswith("{")]
    expected = {2: "[0, 65535]", 3: "no such key", 4: "[1, 1073741824]", 6: "[0.001, 1000000]", 7: "not a number", 8: "off",
                9: f"{keys}:1", 10: "not an origin", 1: "models folder"}  # fmt: skip
    assert refused.returncode == 2 and len(lines) == len(expected), lines
    for number, words in expected.items():
        assert [line for line in lines if line.startswith(f"{config}:{number}: ") and words in line], (number, words, lines)
    # A start says the same of the keys of the file, before it looks at anything else.
    started = qing("serve", "--config", config, check=False)
    assert started.returncode == 2
    for number in (2, 3, 4, 6, 7, 8):
        assert f"{config}:{number}: " in started.stderr


def test_a_state_that_cannot_be_kept_is_a_fault(qing, serve, models_root, tmp_path):
    file = write(tmp_path / "file", "x")
    config = write(tmp_path / "qing.toml", f'port = 70000\nmodels = "{models_root}"\ntexts = 0\nstate = "{file}/x"\n')
    refused = qing("check-config", config, check=False)
    lines = [line.removeprefix("qing: error: ") for line in refused.stderr.splitlines() if not line.startswith("{")]
    assert refused.returncode == 2 and [line.split(":")[1] for line in lines] == ["1", "3", "4"], "in the order of the lines"
    assert f"{config}:4: state: {file}/x: {file} is no folder" in lines[2]
    for words in (["--state", f"{file}/x"], ["--config", write(tmp_path / "state.toml", f'state = "{file}/x"\n')]):
        started = qing("serve", "--port", 0, "--models", models_root, *words, check=False)
        assert started.returncode == 1 and f"{file} is no folder" in started.stderr, words
    variable = qing("serve", "--port", 0, "--models", models_root, env={**os.environ, "QING_SERVE_STATE": f"{file}/x"}, check=False)
    assert variable.returncode == 1 and f"{file} is no folder" in variable.stderr


def test_a_bad_state_is_not_replaced_by_the_current_folder(qing, models_root, tmp_path):
    """Its models are not those of the server, and nothing is written there."""
    here, file, secret = tmp_path / "here", write(tmp_path / "file", "x"), write(tmp_path / "secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n")
    secret.chmod(0o600)
    shutil.copytree(models_root / "emotion_analysis", here / "models/stray")
    (here / "models/stray/1/config.json").write_text("{")
    text = f'models = "{models_root}"\nstate = "{file}/x"\nwebhook = "http://127.0.0.1:1/"\nwebhook-secret = "{secret}"\n'
    config = write(tmp_path / "qing.toml", text)
    refused = qing("check-config", config, check=False, cwd=here)
    lines = [line.removeprefix("qing: error: ") for line in refused.stderr.splitlines() if not line.startswith("{")]
    assert refused.returncode == 2 and len(lines) == 1 and lines[0].startswith(f"{config}:2: state: "), refused.stderr
    assert "stray" not in refused.stderr and [path.name for path in here.iterdir()] == ["models"]


def test_an_empty_variable_keeps_no_state(qing, models_root, tmp_path):
    """As --state "" does, and before the configuration file; the Kubernetes manifest says it so."""
    kept = tmp_path / "kept"
    config = write(tmp_path / "qing.toml", f'models = "{models_root}"\nstate = "{kept}"\n')
    own = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "default"), "QING_SERVE_STATE": ""}
    for more, status in (([], 404), (["--state", kept], 200)):
        command = [qing.binary, "serve", "--port", "0", "--config", config, *more]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=own) as process:
            audit = ask(process.stdout.readline().split()[-1] + "/v1/admin/audit")
            process.terminate()
        assert audit[0] == status, (more, audit)
        assert (tmp_path / "default").exists() is False


def test_a_default_state_that_cannot_be_made_is_left_out(qing, models_root, tmp_path):
    root = shutil.copytree(models_root, tmp_path / "models")
    own = {**os.environ, "XDG_STATE_HOME": str(write(tmp_path / "file", "x"))}
    command = [qing.binary, "serve", "--port", "0", "--models", str(root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=own) as process:
        endpoint = process.stdout.readline().split()[-1]
        loaded, audit = ask(f"{endpoint}/v1/admin/models/emotion_analysis/load", {"version": 1}), ask(f"{endpoint}/v1/admin/audit")
        process.terminate()
        log = process.communicate(timeout=30)[1]
    assert loaded[0] == 200 and audit[0] == 404 and audit[2]["code"] == "no_state"
    assert [json.loads(line)["event"] for line in log.splitlines()].count("no_state_kept") == 1
    config = write(tmp_path / "qing.toml", f'models = "{root}"\n')
    assert "no fault" in qing("check-config", config, env=own).stdout


@pytest.mark.parametrize("option, value, words", [("--port", 65536, "[0, 65535]"), ("--port", -1, "[0, 65535]"), ("--texts", 0, "[1, "),
                                                  ("--drain-delay", -1, "[0, 1000000]")])  # fmt: skip
def test_options_are_refused_with_their_range(qing, option, value, words):
    refused = qing("serve", option, value, check=False)
    assert refused.returncode == 2 and option in refused.stderr and words in refused.stderr, refused.stderr


def test_certificates_are_checked(qing, models_root, tmp_path):
    chain, key = certificate(tmp_path)
    (tmp_path / "other").mkdir()
    _, other = certificate(tmp_path / "other")
    config = tmp_path / "qing.toml"
    text = f'models = "{models_root}"\nstate = ""\ncertificate = "{chain}"\ntls-key = "{key}"\n'
    assert qing("check-config", write(config, text)).returncode == 0
    for wrong in (text.replace(f'"{key}"', f'"{other}"'), text.replace(str(chain), str(tmp_path / "none")),
                  text.replace(f'tls-key = "{key}"\n', "")):  # fmt: skip
        refused = qing("check-config", write(config, wrong), check=False)
        assert refused.returncode == 2 and f"{config}:3: certificate: " in refused.stderr, refused.stderr


@pytest.mark.parametrize("broken", ["keys", "tls-key", "webhook-secret"])
def test_keys_and_certificates_come_before_models(qing, models_root, tmp_path, broken):
    chain, _ = certificate(tmp_path)
    nothing = write(tmp_path / "empty", "")
    options = {"keys": ["--keys", nothing], "tls-key": ["--certificate", chain, "--tls-key", nothing],
               "webhook-secret": ["--webhook", "http://127.0.0.1:1/", "--webhook-secret", nothing]}[broken]  # fmt: skip
    refused = qing("serve", "--models", models_root, "--port", 0, "--state", tmp_path / "state", *options, check=False)
    assert refused.returncode == 1 and str(nothing) in refused.stderr
    assert "model_loaded" not in refused.stderr, "the models were loaded first"


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n  \n"])
def test_a_file_with_a_key_may_end_in_any_way(models_root, serve, tmp_path, end):
    keys = tmp_path / "keys"
    keys.write_bytes(b"0123456789abcdef" + end.encode())
    endpoint = serve("--models", models_root, "--keys", keys).endpoint
    assert ask(endpoint + "/v1/models", headers={"X-API-Key": "0123456789abcdef"})[0] == 200


def test_a_key_from_a_file_is_read_without_its_line_break(models_root, serve, qing, tmp_path):
    keys = write(tmp_path / "keys", "0123456789abcdef\n")
    endpoint = serve("--models", models_root, "--keys", keys).endpoint
    listed = subprocess.run([qing.binary, "files", "list", "--url", endpoint], env={"QING_API_KEY": keys.read_text()}, capture_output=True,
                            text=True, timeout=60)  # fmt: skip
    assert listed.returncode == 0, listed.stderr


def test_a_single_model_is_served_as_that_model(models_root, serve, qing, tmp_path):
    import shutil

    trained = shutil.copytree(models_root / "emotion_analysis/1", tmp_path / "my-model")
    for folder, name, version in ((models_root / "emotion_analysis", "emotion_analysis", "1"), (trained, "my-model", "1")):
        copy = shutil.copytree(folder, tmp_path / f"copy-{name}" / name)
        status, _, models = ask(serve("--models", copy).endpoint + "/v1/models")
        assert status == 200 and [(one["name"], one["version"]) for one in models["models"]] == [(name, version)]


def test_the_example_has_only_files_that_are_missing(qing):
    """Every key of serve/deploy/qing.toml is known and in its range."""
    refused = qing("check-config", ROOT / "serve/deploy/qing.toml", check=False)
    lines = [line for line in refused.stderr.splitlines() if not line.startswith("{")]
    assert refused.returncode == 2 and len(lines) == 1 and "/var/lib/qing/models" in lines[0], lines


def test_a_check_does_not_disturb_a_server(qing, models_root, tmp_path):
    server = RunningServer(qing.binary, "--port", 0, "--models", models_root, "--state", tmp_path / "state")
    port = server.endpoint.rpartition(":")[2]
    config = write(tmp_path / "qing.toml", f'models = "{models_root}"\nstate = "{tmp_path}/state"\nport = {port}\n')
    begun = time.monotonic()
    assert qing("check-config", config).returncode == 0
    assert time.monotonic() - begun < 60 and ask(server.endpoint + "/health/ready")[0] == 200
    assert server.stop()[0] == 0
