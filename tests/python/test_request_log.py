"""The line that the server logs of each request."""

import json

import pytest
from conftest import ask, within

PREDICT = "/v1/models/emotion_analysis/predict"


def lines_of(server, count):
    """The request lines of a server, once there are so many."""

    def lines():
        written = [json.loads(line) for line in server.logged().splitlines() if line.startswith("{")]
        return [line for line in written if line["event"] == "request"]

    assert within(10, lambda: len(lines()) >= count), server.logged()
    return lines()


def test_a_line_says_what_was_asked_and_by_whom(models_root, serve):
    server = serve("--models", models_root, "--log-client", "full")
    url = server.endpoint
    ask(url + PREDICT, {"texts": ["I love this film", "so do I", "me too"]})
    ask(url + PREDICT, {"texts": []})
    ask(url + "/v1/models/none/predict", {"text": "I love this film"})
    ask(url + "/v1/classify", {"input": ["I love this film"]})
    ask(url + "/health/live")
    ask(url + "/no/such/route")
    lines = lines_of(server, 6)
    shown = [(line["route"], line["status"], line["model"], line["version"], line["texts"]) for line in lines]
    own = "emotion_analysis"
    assert shown == [
        ("/v1/models/{name}/predict", 200, own, 1, 3),
        ("/v1/models/{name}/predict", 200, own, 1, 0),
        ("/v1/models/{name}/predict", 404, "", 0, 0),  # never a name that the client made up
        ("/v1/classify", 200, own, 1, 1),
        ("/health/live", 200, "", 0, 0),
        ("unknown", 404, "", 0, 0),
    ]
    assert {line["client"] for line in lines} == {"127.0.0.1"}


@pytest.mark.parametrize(
    "options, shown",
    [
        ([], ""),
        (["--log-client", "truncated"], "127.0.0.0"),
        (["--log-client", "truncated", "--trust-forwarded-for"], "198.51.100.0"),
        (["--log-client", "full", "--trust-forwarded-for"], "198.51.100.77"),
    ],
)
def test_the_address_is_shown_as_far_as_wanted(models_root, serve, options, shown):
    server = serve("--models", models_root, *options)
    ask(server.endpoint + "/health/live", headers={"X-Forwarded-For": "192.0.2.1, 198.51.100.77"})
    assert [line["client"] for line in lines_of(server, 1)] == [shown]


def test_refusals_have_the_id_of_the_key(qing, models_root, serve, tmp_path):
    store = tmp_path / "keys.db"
    make = ["keys", "create", "--store", store, "--scopes", "predict"]
    key = qing(*make, "--requests-per-minute", 1).stdout.strip()
    old = qing(*make).stdout.strip()
    qing("keys", "revoke", "--store", store, old.split(".")[0])
    server = serve("--models", models_root, "--keys", store)
    body = {"text": "I love this film"}

    def status(path, key, body=None):
        return ask(server.endpoint + path, body, {"X-API-Key": key} if key else {})[0]

    assert status("/metrics", key) == 403
    assert status(PREDICT, old, body) == 401
    assert status(PREDICT, key.split(".")[0] + "." + "0" * 64, body) == 401
    assert status(PREDICT, "0123456789abcdef." + "0" * 64, body) == 401
    assert status(PREDICT, "", body) == 401
    # A minute may begin between two requests.
    statuses = [status(PREDICT, key, body) for _ in range(3)]
    assert 200 in statuses and 429 in statuses
    lines = lines_of(server, 8)
    own = key.split(".")[0]
    assert [(line["status"], line["key"]) for line in lines[:5]] == [
        (403, own), (401, old.split(".")[0]), (401, own), (401, ""), (401, "")]  # fmt: skip
    assert all(line["key"] == own for line in lines[5:])
    assert [line["status"] for line in lines[5:]] == statuses
    log = server.logged()
    assert not any(secret in log for secret in (key, old, key.split(".")[1]))
