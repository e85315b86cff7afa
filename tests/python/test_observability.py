"""/metrics and /openapi.json of a running server."""

import json
import re
import shutil
import time
import urllib.error
import urllib.request

import pytest
from conftest import synthetic_rows, write_tsv


@pytest.fixture
def endpoint(models_root, serve):
    return serve("--models", models_root).endpoint


def get(url, **headers):
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as answer:
        return answer.headers["Content-Type"], answer.read().decode()


def predict(endpoint, texts):
    body = json.dumps({"texts": texts}).encode()
    request = urllib.request.Request(endpoint + "/v1/models/emotion_analysis/predict", body, {"Content-Type": "application/json"})
    urllib.request.urlopen(request, timeout=30).read()


def test_metrics_count_what_happened(endpoint):
    parser = pytest.importorskip("prometheus_client.parser")
    predict(endpoint, ["I love this film", "我讨厌这个手机"])
    with pytest.raises(urllib.error.HTTPError):
        predict(endpoint, "not a list")
    # A batch is counted after its answers are on their way.
    for _ in range(100):
        kind, text = get(endpoint + "/metrics")
        if re.search(r"^qing_model_compute_seconds_count\S* 1$", text, re.M):
            break
        time.sleep(0.05)
    assert kind == "text/plain; version=0.0.4; charset=utf-8"
    samples = {}
    for family in parser.text_string_to_metric_families(text):
        for sample in family.samples:
            samples[sample.name, tuple(sorted(sample.labels.items()))] = sample.value
    route = ("route", "/v1/models/{name}/predict")
    model = ("model", "emotion_analysis")
    assert samples["qing_requests_total", (route, ("status", "200"))] == 1
    assert samples["qing_requests_total", (route, ("status", "422"))] == 1
    assert samples["qing_request_seconds_count", (route,)] == 2
    assert samples["qing_request_seconds_bucket", (("le", "+Inf"), route)] == 2
    assert samples["qing_model_requests_total", (model,)] == 1
    assert samples["qing_model_texts_total", (model,)] == 2
    assert samples["qing_model_tokens_total", (model,)] > 6
    assert samples["qing_model_batch_texts_sum", (model,)] == 2
    assert samples["qing_model_compute_seconds_count", (model,)] == 1
    assert samples["qing_model_predictions_total", (("label", "positive"), model)] == 1
    assert samples["qing_model_predictions_total", (("label", "negative"), model)] == 1
    assert samples["qing_resident_memory_bytes", ()] > 1 << 20
    assert samples["qing_ready", ()] == 1
    assert "film" not in text


def gauges(endpoint):
    """Returns the values of /metrics by name and labels, as written."""
    lines = get(endpoint + "/metrics")[1].splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if not line.startswith("#"))}


def test_drift_is_measured_against_the_reference_texts(qing, models_root, serve, tmp_path):
    root = tmp_path / "models"
    shutil.copytree(models_root, root)
    model = root / "emotion_analysis/1"
    reference = json.loads((model / "config.json").read_text())["reference"]  # written by qing train
    assert sum(reference["labels"]) == 600 and all(count > 100 for count in reference["labels"])
    assert reference["tokens"] > 600 and reference["unknown_tokens"] == 0
    endpoint = serve("--models", root).endpoint
    version = 'model="emotion_analysis",version="1"'
    alike = [text for _, text in synthetic_rows(300, seed=77)]
    predict(endpoint, alike)
    drift = gauges(endpoint)
    assert drift[f"qing_model_recent_texts{{{version}}}"] == 300
    assert 0 <= drift[f"qing_model_label_drift{{{version}}}"] < 0.1
    assert drift[f"qing_model_unknown_token_share{{{version}}}"] == 0
    for _ in range(3):
        predict(endpoint, ["I love this film ☂"] * 500)
    drift = gauges(endpoint)
    assert drift[f'qing_model_label_share{{{version},label="positive"}}'] > 0.8
    assert drift[f'qing_model_reference_label_share{{{version},label="positive"}}'] == reference["labels"][2] / 600
    assert drift[f"qing_model_label_drift{{{version}}}"] > 0.25
    assert drift[f"qing_model_unknown_token_share{{{version}}}"] > 0.1

    # The reference can be replaced by the shares of other texts.
    data = write_tsv(tmp_path / "positive.tsv", [("positive", "I love this film")] * 7)
    qing("eval", "--model", model, "--data", data)
    assert json.loads((model / "config.json").read_text())["reference"] == reference
    qing("eval", "--model", model, "--data", data, "--reference")
    assert json.loads((model / "config.json").read_text())["reference"]["labels"] == [0, 0, 7]
    assert qing("eval", "--model", model, "--data", data, "--json").returncode == 0


def test_the_description_lists_every_route(endpoint):
    kind, text = get(endpoint + "/openapi.json")
    document = json.loads(text)
    assert kind == "application/json" and document["openapi"] == "3.1.0"
    names = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]
    assert len(names) == len(set(names)) > 25
    for pattern, path in document["paths"].items():
        for method, operation in path.items():
            declared = [parameter["name"] for parameter in operation.get("parameters", []) if parameter["in"] == "path"]
            assert declared == re.findall(r"{(\w+)}", pattern)
            assert operation["summary"] and operation["tags"]
            # Every described route exists and accepts its method. No changes are made.
            url = endpoint + pattern.replace("{name}", "emotion_analysis").replace("{version}", "1")
            changes = "/admin/" in pattern or "/repository/models/" in pattern
            body = None if method == "get" else b"{" if changes else b""
            request = urllib.request.Request(url, body, method=method.upper())
            try:
                status, answer = urllib.request.urlopen(request, timeout=30).status, b""
            except urllib.error.HTTPError as error:
                status, answer = error.code, error.read()
            assert status != 405 and status < 500 and b"unknown_route" not in answer, (method, pattern, status)
            # There are no files, no jobs and no model that a job made.
            assert status != 404 or "id}" in pattern or method == "delete", (method, pattern)


def test_the_dashboard_asks_for_metrics_that_exist(endpoint):
    from conftest import ROOT

    predict(endpoint, ["I love this film"])
    existing = set(re.findall(r"^(qing_\w+)", get(endpoint + "/metrics")[1], re.M))
    dashboard = (ROOT / "docs/grafana-dashboard.json").read_text(encoding="utf-8")
    panels = json.loads(dashboard)["panels"]
    asked = {name for panel in panels for target in panel["targets"] for name in re.findall(r"qing_\w+", target["expr"])}
    assert len(panels) >= 8 and asked <= existing, asked - existing
