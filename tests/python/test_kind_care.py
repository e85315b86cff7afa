"""Feedback and promotion of models of several labels, of ordered labels and of numbers, through a running server."""

import json
import math

import numpy as np
import pytest
from conftest import RunningServer, ask
from maas_sdk import InvalidRequestError, MaaSClient
from sklearn import metrics
from test_kind_jobs import NAMES, SMALL, uploaded
from test_multi_label import LABELS, hot
from test_problem_kinds import KINDS, files, models, training  # noqa: F401: files and models are fixtures

TEXTS = ["soup and bread for the team", "the superb of", "court judge bank stock", "a the of in", "awful goal of the match"]
RIGHT = {
    "multi-label": [["food", "sport"], [], ["money", "law"], [], ["sport"]],
    "ordinal": ["3", "5", "1", "2", "1"],
    "regression": [1500.25, 2000, 1000.5, -7, 1e3],
}


@pytest.fixture(scope="module")
def server(qing, files, models, tmp_path_factory):  # noqa: F811
    """weak-KIND, which saw few texts, and strong-KIND."""
    folder = tmp_path_factory.mktemp("kind_care")
    for kind in KINDS:
        qing(*training(files, kind, folder / "models" / f"weak-{kind}" / "1", "--epochs", 1, "--max-steps", 3))
        (folder / "models" / f"strong-{kind}").mkdir()
        (folder / "models" / f"strong-{kind}" / "1").symlink_to(models[kind][1])
    running = RunningServer(qing.binary, "--port", 0, "--models", folder / "models", "--state", folder / "state")
    running.folder = folder
    yield running
    running.stop()


@pytest.fixture(scope="module")
def client(server):
    with MaaSClient(api_key="any", endpoint=server.endpoint) as client:
        yield client


def said_of(kind, emotion):
    return {"multi-label": lambda: list(emotion.labels), "ordinal": lambda: emotion.label,
            "regression": lambda: emotion.value}[kind]()  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_from_an_answer_to_a_retrained_model(qing, server, client, kind, tmp_path):
    name, right = f"strong-{kind}", RIGHT[kind]
    emotions = client.get_model(name).predict(TEXTS)
    predicted = [said_of(kind, emotion) for emotion in emotions]
    for emotion, text, label in zip(emotions, TEXTS, right):
        client.feedback.create(emotion, said_of(kind, emotion))  # is replaced
        given = client.feedback.create(emotion, label, text=text, keep_text=text != TEXTS[0])
        assert given.text_kept == (text != TEXTS[0])
        assert given.label == (sorted(label, key=LABELS.index) if kind == "multi-label" else label)
    stored = [given for given in ask(f"{server.endpoint}/v1/feedback/summary?model={name}")[2]["data"]]
    (summary,) = stored
    assert (summary["problem"], summary["feedback"], summary["kept_texts"]) == (kind, 5, 4)
    if kind == "regression":
        errors = np.array(predicted) - np.array(right)
        assert summary["agreement"] is None and summary["labels"] == []
        assert summary["mean_absolute_error"] == pytest.approx(np.abs(errors).mean(), rel=1e-6)
        assert summary["root_mean_squared_error"] == pytest.approx(math.sqrt((errors**2).mean()), rel=1e-6)
    elif kind == "multi-label":
        y, p = np.array([hot(labels) for labels in right]), np.array([hot(labels) for labels in predicted])
        seen = [i for i in range(4) if y[:, i].any() or p[:, i].any()]
        assert summary["agreement"] == pytest.approx(metrics.accuracy_score(y, p))
        assert summary["micro_f1"] == pytest.approx(metrics.f1_score(y, p, average="micro", zero_division=0))
        macro = metrics.f1_score(y[:, seen], p[:, seen], average="macro", zero_division=0)
        assert summary["macro_f1"] == pytest.approx(macro)
        counts = {one["label"]: (one["feedback"], one["agreed"], one["predicted"]) for one in summary["labels"]}
        assert counts == {LABELS[i]: (y[:, i].sum(), (y & p)[:, i].sum(), p[:, i].sum()) for i in seen}
    else:
        assert summary["agreement"] == np.mean([a == b for a, b in zip(predicted, right)])

    out = tmp_path / "feedback.jsonl"
    state = server.folder / "state"
    qing("feedback", "export", "--state", state, "--model", name, "--project", "default", "--out", out)
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    wanted = [sorted(label, key=LABELS.index) if kind == "multi-label" else label for label in right[1:]]
    assert [(row["text"], row["label"]) for row in rows] == list(zip(TEXTS[1:], wanted))
    shown = qing("feedback", "summary", "--state", state, "--model", name).stdout
    assert ("mean absolute error" in shown) == (kind == "regression") and "4 texts kept" in shown
    report = ask(f"{server.endpoint}/v1/admin/models/{name}/report")[2]
    assert report["feedback"] == 5 and report["kept_texts"] == 4 and not report["reasons"]
    assert ("mean_absolute_error" in report["agreement"][0]) == (kind == "regression")

    # The table trains the model again, with its head; the result may become its next version.
    file = uploaded(client, out.read_text(), "feedback.jsonl")
    job = client.jobs.create(training_file=file.id, model=name, epochs=1).wait(progress=False)
    assert job.fields["outcome"]["problem"] == kind and job.fields["outcome"]["labels"] == NAMES[kind]
    answer = ask(f"{server.endpoint}/v1/admin/models/{name}/promote", {"from": job.model})[2]
    assert answer["promoted"] and answer["version"] == "2"
    ask(f"{server.endpoint}/v1/admin/models/{name}/rollback", {})


@pytest.mark.parametrize("kind, label, said", [
    ("multi-label", "food", "must be a list of strings"),
    ("multi-label", ["food", "crime"], "the model's labels are food, law, money, sport"),
    ("multi-label", ["food", "food"], "'food' is given twice"),
    ("multi-label", [1], "must be a string"),
    ("ordinal", ["5"], "must be a string; the model gives each text one label"),
    ("ordinal", "6", "the model's labels are 1, 2, 3, 4, 5"),
    ("ordinal", 5, "must be a string"),
    ("regression", "1500", "must be a finite number"),
    ("regression", [1500], "must be a finite number"),
    ("regression", True, "must be a finite number"),
])  # fmt: skip
def test_feedback_that_does_not_fit_is_refused(server, kind, label, said):
    endpoint = server.endpoint
    _, headers, _ = ask(f"{endpoint}/v1/models/strong-{kind}/predict", {"texts": ["the superb of"]})
    body = {"request_id": headers["X-Request-Id"], "label": label}
    status, _, answer = ask(f"{endpoint}/v1/feedback", body)
    assert status == 422 and answer["error"].startswith("label: ") and said in answer["error"], answer
    assert ask(f"{endpoint}/v1/feedback", {**body, "label": {}})[0] == 422


def test_the_client_says_what_was_wrong(client):
    emotion = client.get_model("strong-multi-label").predict("soup and bread")
    with pytest.raises(InvalidRequestError, match="the model's labels are"):
        client.feedback.create(emotion, ("food", "fish"))
    assert client.feedback.create(emotion, (label for label in ["sport", "food"])).label == ["food", "sport"]


@pytest.mark.parametrize("kind, worse", [
    ("multi-label", ["subset accuracy", "micro F1", "macro F1"]),
    ("ordinal", ["quadratic weighted kappa", "MAE of expected value"]),
    ("regression", ["MAE", "RMSE"]),
])  # fmt: skip
def test_a_rule_judges_by_the_measures_of_the_kind(qing, server, client, files, kind, worse):  # noqa: F811
    path = files[kind][1]
    evaluation = uploaded(client, path.read_text(), "dev.csv").id
    endpoint, weak, strong = server.endpoint, f"weak-{kind}", f"strong-{kind}"
    rule = {"evaluation": evaluation}
    status, _, answer = ask(f"{endpoint}/v1/admin/models/{strong}/promote", {"from": weak, "rule": rule})
    assert status == 200 and not answer["promoted"] and answer["version"] is None
    for measure in worse:
        assert any(reason.startswith(f"all texts: {measure}") for reason in answer["reasons"]), answer["reasons"]
    comparison = answer["comparison"]
    report = qing("compare", server.folder / "models" / strong / "1", server.folder / "models" / weak / "1", "--data", path,
                  "--json").stdout.splitlines()[-1]  # fmt: skip
    theirs = json.loads(report)
    if kind == "ordinal":
        assert comparison["ordinal"] == theirs["comparison"]["ordinal"]
    else:
        assert comparison["problem"] == kind and comparison["p_value"] == theirs["p_value"]
        for one in comparison["measures"]:
            same = theirs["measures"][one["name"]]
            assert [one["before"], one["after"]] == [same["a"], same["b"]]
            assert one["difference_interval"] == same["difference_interval"]
        assert sum(group["texts"] for group in comparison["per_language"]) == comparison["texts"] == 150

    status, _, answer = ask(f"{endpoint}/v1/admin/models/{weak}/promote", {"from": strong, "rule": rule})
    assert status == 200 and answer["promoted"] and answer["reasons"] == []
    history = ask(f"{endpoint}/v1/admin/models/{weak}/history")[2]
    assert kind in json.dumps(history) or kind == "ordinal"


@pytest.mark.parametrize("limit", ["agreement", "drift"])
def test_a_trial_of_numbers_has_no_limit_on_labels(server, limit):
    body = {"version": 1, "steps": [1], "rollback": {limit: 0.5}}
    request = f"{server.endpoint}/v1/admin/models/strong-regression/trial"
    status, _, answer = ask(request, body, method="PUT")
    assert status == 422 and f"rollback.{limit}: compares labels" in answer["error"], answer
