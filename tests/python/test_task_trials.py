"""Trials of models of other tasks than classification: canaries by hand and in steps, and what is refused."""

import json
import shutil
import time

import pytest
from conftest import RunningServer, ask
from tagged_sentences import sentences, write_conll
from test_image_serving import classifier, data, png, squares  # noqa: F401 (fixtures)
from test_train_translation import PAIRS
from test_train_translation import SMALL as SMALL_TRANSLATOR

TEXT = "Anna Meyer lives in Oslo ."


@pytest.fixture(scope="module")
def server(qing, classifier, tmp_path_factory):  # noqa: F811
    """A server with two versions of a tagger, a translator and an image classifier."""
    folder = tmp_path_factory.mktemp("trials")
    qing("train", "--task", "tagging", "--data", write_conll(folder / "train.conll", sentences(300)), "--dev-share", 0,
         "--layers", 1, "--width", 32, "--vocab", 500, "--max-length", 32, "--epochs", 2,
         "--out", folder / "models/names/1")  # fmt: skip
    pairs = folder / "pairs.tsv"
    pairs.write_text("en\tzh\n" + "".join(f"{en}\t{zh}\n" for en, zh in PAIRS), encoding="utf-8")
    qing("train", "--task", "translation", "--data", pairs, "--dev-share", 0, *SMALL_TRANSLATOR, "--epochs", 2,
         "--out", folder / "models/en-zh/1")  # fmt: skip
    shutil.copytree(classifier[0], folder / "models/pictures/1")
    for name in ("names", "en-zh", "pictures"):
        shutil.copytree(folder / f"models/{name}/1", folder / f"models/{name}/2")
        (folder / f"models/{name}/2").rename(folder / f"models/{name}/2.later")
    running = RunningServer(qing.binary, "--port", 0, "--models", folder / "models", "--state", folder / "state")
    for name in ("names", "en-zh", "pictures"):  # what is new answers at once, so version 1 is there first
        (folder / f"models/{name}/2.later").rename(folder / f"models/{name}/2")
    yield running
    assert running.stop()[0] == 0


def answer(server, task, path="", **headers):
    """The version that answers a request of the task."""
    name = {"tag": "names", "translate": "en-zh", "predict": "pictures"}[task]
    body, kind = {"texts": [TEXT]}, {}
    if task == "predict":
        body, kind = png(squares(1, 1)[0][0]), {"Content-Type": "image/png"}
    status, _, found = ask(f"{server.endpoint}/v1/models/{name}{path}/{task}", body, kind | headers)
    assert status == 200, found
    return found["version"]


def trial(server, name, body, method="PUT"):
    status, _, found = ask(f"{server.endpoint}/v1/admin/models/{name}/trial", body, method=method)
    return status, found


@pytest.mark.parametrize(("task", "name"), [("tag", "names"), ("translate", "en-zh"), ("predict", "pictures")])
def test_a_canary_answers_its_share_of_the_callers(server, task, name):
    callers = [f"caller {i}" for i in range(60)]
    before = [answer(server, task, **{"X-Caller-Id": caller}) for caller in callers]
    assert set(before) == {"1"}
    status, found = trial(server, name, {"version": 2, "share": 0.4})
    assert status == 200 and found["trial"] == {"version": "2", "share": 0.4, "kind": "canary"}
    versions = [answer(server, task, **{"X-Caller-Id": caller}) for caller in callers]
    assert 10 < versions.count("2") < 40 and versions.count("1") + versions.count("2") == 60
    assert [answer(server, task, **{"X-Caller-Id": caller}) for caller in callers] == versions, "each keeps its version"
    assert answer(server, task, "/versions/1") == "1", "a request that names a version is not part of it"
    trial(server, name, {"version": 2, "share": 0.8})
    wider = [answer(server, task, **{"X-Caller-Id": caller}) for caller in callers]
    assert all(now == "2" for then, now in zip(versions, wider) if then == "2"), "a share that grows keeps its callers"
    # Without a name of the caller the content decides, always in the same way.
    assert len({answer(server, task) for _ in range(10)}) == 1
    trial(server, name, {"version": 2, "share": 0.5, "by": "request"})
    assert {answer(server, task) for _ in range(40)} == {"1", "2"}
    shown = next(m for m in ask(server.endpoint + "/v1/admin/models")[2]["models"] if m["name"] == name)
    assert {v["version"]: v["state"] for v in shown["versions"]}["2"] == "canary"
    metrics = ask(server.endpoint + "/metrics")[2].decode()
    line = next(each for each in metrics.splitlines() if each.startswith(f'qing_model_canary_requests_total{{model="{name}"'))
    assert int(line.split()[-1]) > 60
    assert trial(server, name, {}, "DELETE")[0] == 200
    assert {answer(server, task, **{"X-Caller-Id": caller}) for caller in callers} == {"1"}


def test_v2_has_the_version_on_trial(server):
    body = {"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": [TEXT]}]}
    trial(server, "names", {"version": 2, "share": 1})
    status, _, found = ask(server.endpoint + "/v2/models/names/infer", body)
    assert status == 200 and found["model_version"] == "2"
    trial(server, "names", {}, "DELETE")
    assert ask(server.endpoint + "/v2/models/names/infer", body)[2]["model_version"] == "1"


@pytest.mark.parametrize("name", ["names", "en-zh", "pictures"])
def test_what_compares_labels_is_refused(server, name):
    for body, field in (({"version": 2, "shadow": True}, "a shadow"),
                        ({"version": 2, "compare": True}, "agreement"),
                        ({"version": 2, "steps": [0.5, 1], "rollback": {"agreement": 0.8}}, "agreement"),
                        ({"version": 2, "steps": [0.5, 1], "rollback": {"drift": 0.2}}, "rollback.drift")):  # fmt: skip
        status, found = trial(server, name, body)
        assert status in (409, 422) and field in found["error"] and "task" in found["error"], (body, found)
    shown = next(m for m in ask(server.endpoint + "/v1/models")[2]["models"] if m["name"] == name)
    assert "trial" not in shown and trial(server, name, {}, "DELETE")[0] == 404, "nothing is left of a refused trial"


def test_a_trial_in_steps_ends_with_the_version_active(server):
    status, found = trial(server, "names", {"version": 2, "steps": [0.5, 1], "minutes_each": 0, "requests_each": 5,
                                            "rollback": {"error_rate": 0.5, "latency_factor": 1000}})  # fmt: skip
    assert status == 200, found
    until = time.monotonic() + 60
    while time.monotonic() < until:
        for i in range(20):
            answer(server, "tag", **{"X-Caller-Id": str(i)})
        shown = next(m for m in ask(server.endpoint + "/v1/models")[2]["models"] if m["name"] == "names")
        if shown["version"] == "2":
            break
        time.sleep(0.1)
    assert shown["version"] == "2" and shown["previous"] == "1" and "trial" not in shown, json.dumps(shown)
    assert ask(server.endpoint + "/v1/admin/models/names/rollback", {})[0] == 200
