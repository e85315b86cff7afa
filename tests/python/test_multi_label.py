"""Several labels for a text, ordered labels and numbers: data of every form, training, measures equal to scikit-learn's and
scipy's, the folder in transformers, predictions, comparison, the server and the Python client."""

import csv
import json
import random
import sys
import xml.etree.ElementTree as tree
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import ask, served
from scipy import stats
from sklearn import metrics
from transformers import AutoModelForSequenceClassification, AutoTokenizer

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "serve" / "sdk" / "python"))

from maas_sdk import MaaSClient  # noqa: E402

WORDS = {
    "food": ["soup", "bread", "dinner", "cook"],
    "law": ["court", "judge", "trial", "crime"],
    "money": ["bank", "stock", "profit", "market"],
    "sport": ["goal", "match", "team", "league"],
}
LABELS = list(WORDS)
FILL = "the a of in and we they was near about some new old first last".split()
STARS = ["awful", "bad", "okay", "good", "superb"]


def label_sets(count, seed):
    rng, rows = random.Random(seed), []
    for _ in range(count):
        labels = [label for label in LABELS if rng.random() < (0.15 if label == "law" else 0.45)]
        words = [rng.choice(FILL) for _ in range(5)] + [word for label in labels for word in rng.sample(WORDS[label], 2)]
        rng.shuffle(words)
        rows.append((" ".join(words), labels))
    return rows


def write(path, rows, form="|"):
    """The rows in one of the forms that hold several labels."""
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps({"text": text, "labels": labels}) + "\n" for text, labels in rows))
    elif path.suffix == ".ft":
        lines = (" ".join([*(f"__label__{label}" for label in labels), text]) for text, labels in rows)
        path.write_text("\n".join(lines) + "\n")
    else:
        with open(path, "w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["text", "label"])
            table.writerows([text, form(labels) if callable(form) else form.join(labels)] for text, labels in rows)
    return path


def train(qing, data, dev, out, *more, lr=5e-3):
    sizes = () if "--from" in more else ("--layers", 1, "--width", 64, "--vocab", 300)  # --from has its own
    return qing("train", "--data", data, "--dev", dev, *sizes, "--max-length", 32, "--lr", lr, "--dropout", 0, "--out", out, *more)


def last_json(result):
    return json.loads(result.stdout.splitlines()[-1])


def rows_of(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def hot(labels):
    return [int(name in labels) for name in LABELS]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("label_sets")
    return write(folder / "train.csv", label_sets(800, 1)), write(folder / "dev.csv", label_sets(200, 2))


@pytest.fixture(scope="module")
def model(qing, files, tmp_path_factory):
    """Trained too little to be right everywhere."""
    out = tmp_path_factory.mktemp("several") / "1"
    told = train(qing, *files, out, "--multi-label", 1, "--epochs", 10).stderr
    assert "micro-F1" in told and "thresholds of 4 labels, fitted to 200 dev texts" in told
    return out


@pytest.mark.parametrize(
    "name, form",
    [("a.csv", "|"), ("a.csv", "; "), ("a.csv", ","), ("a.csv", json.dumps), ("a.csv", repr), ("a.jsonl", ""), ("a.ft", "")],
)
def test_every_form_of_several_labels_is_read_alike(qing, model, files, tmp_path, name, form):
    rows = label_sets(200, 2)
    other = write(tmp_path / name, rows, form)
    assert [row["label"].split("|") if row["label"] else [] for row in rows_of(files[1])] == [labels for _, labels in rows]
    for file in (files[1], other):
        qing("eval", "--model", model, "--data", file, "--out", tmp_path / "rows.csv")
        found = [(row["text"], row["label"].split("|") if row["label"] else []) for row in rows_of(tmp_path / "rows.csv")]
        assert found == rows
    survey = json.loads(qing("data", other, "--json").stdout)
    assert survey["files"][0]["label_sets"]["labels"] == {name: sum(name in some for _, some in rows) for name in LABELS}
    assert any("--multi-label 1" in warning for warning in survey["warnings"])


def test_the_measures_are_those_of_scikit_learn(qing, model, files, tmp_path):
    report = last_json(qing("eval", "--model", model, "--data", files[1], "--out", tmp_path / "r.csv", "--json"))
    rows = rows_of(tmp_path / "r.csv")
    expected = np.array([hot(row["label"].split("|")) for row in rows])
    predicted = np.array([hot(row["predicted_label"].split("|")) for row in rows])
    scores = np.array([[float(row[f"score_{name}"]) for name in LABELS] for row in rows])
    assert (expected != predicted).any(), "a model without errors tests nothing"
    for mean in ("micro", "macro"):
        wanted = metrics.precision_recall_fscore_support(expected, predicted, average=mean, zero_division=0)
        found = [report[f"{mean}_{name}"] for name in ("precision", "recall", "f1")]
        np.testing.assert_allclose(found, wanted[:3], atol=1e-12)
    assert report["subset_accuracy"] == pytest.approx(metrics.accuracy_score(expected, predicted), abs=1e-12)
    assert report["hamming_loss"] == pytest.approx(metrics.hamming_loss(expected, predicted), abs=1e-12)
    losses = [metrics.log_loss(expected[:, i], scores[:, i], labels=[0, 1]) for i in range(len(LABELS))]
    assert report["log_loss"] == pytest.approx(np.mean(losses), rel=1e-6)
    each = metrics.precision_recall_fscore_support(expected, predicted, average=None, zero_division=0)
    for i, name in enumerate(LABELS):
        one = report["per_label"][name]
        np.testing.assert_allclose([one[key] for key in ("precision", "recall", "f1", "support")], [e[i] for e in each])
        wanted = metrics.average_precision_score(expected[:, i], scores[:, i])
        assert one["average_precision"] == pytest.approx(wanted, abs=1e-9)
        # No other threshold has a greater F1 on the dev set.
        best = max(metrics.f1_score(expected[:, i], scores[:, i] >= t, zero_division=0) for t in scores[:, i])
        assert one["f1"] == pytest.approx(best, abs=1e-12)


def test_transformers_loads_the_folder_with_equal_logits(qing, model):
    texts = [text for text, _ in label_sets(40, 9)]
    theirs = AutoModelForSequenceClassification.from_pretrained(model).eval()
    assert theirs.config.problem_type == "multi_label_classification"
    assert [theirs.config.id2label[i] for i in range(4)] == LABELS and len(theirs.config.thresholds) == 4
    with torch.no_grad():
        logits = theirs(**AutoTokenizer.from_pretrained(model)(texts, padding=True, return_tensors="pt")).logits.numpy()
    lines = qing("predict", "--model", model, "--json", "--logits", input="\n".join(texts) + "\n").stdout.splitlines()
    for line, wanted in zip(map(json.loads, lines), logits):
        np.testing.assert_allclose(line["logits"], wanted, atol=1e-5)
        scores = 1 / (1 + np.exp(-wanted))
        np.testing.assert_allclose(list(line["scores"].values()), scores, atol=1e-5)
        above = [name for name, score, least in zip(LABELS, scores, theirs.config.thresholds) if score >= least]
        assert line["labels"] == above


def test_predictions_join_labels_in_tables_and_lines(qing, model, files, tmp_path):
    out = tmp_path / "out.csv"
    qing("predict", "--model", model, "--file", files[1], "--out", out)
    lines = qing("predict", "--model", model, "--file", files[1]).stdout.splitlines()
    answers = [json.loads(line) for line in qing("predict", "--model", model, "--file", files[1], "--json").stdout.splitlines()]
    assert any(not answer["labels"] for answer in answers) and any(len(answer["labels"]) > 1 for answer in answers)
    for row, line, answer in zip(rows_of(out), lines, answers, strict=True):
        labels = "|".join(answer["labels"])
        assert row["predicted_label"] == labels == line.split("\t")[0]
        assert [float(row[f"score_{name}"]) for name in LABELS] == pytest.approx(list(answer["scores"].values()))


def test_the_card_and_the_curves(model):
    card = (model / "README.md").read_text()
    assert "micro-F1" in card and "| law |" in card and "## Thresholds" in card and "Confusion" not in card
    drawing = tree.parse(model / "run/precision_recall.svg").getroot()
    told = "".join(drawing.itertext())
    assert all(name in told for name in LABELS)
    tree.parse(model / "run/loss.svg")


def test_positive_weights_raise_recall(qing, files, model, tmp_path):
    train(qing, *files, tmp_path / "m", "--multi-label", 1, "--epochs", 3, "--positive-weight", 1)
    train(qing, *files, tmp_path / "plain", "--multi-label", 1, "--epochs", 3)
    scores = {}
    for name in ("m", "plain"):
        qing("eval", "--model", tmp_path / name, "--data", files[1], "--out", tmp_path / "r.csv")
        scores[name] = np.mean([float(row["score_law"]) for row in rows_of(tmp_path / "r.csv")])
    assert scores["m"] > scores["plain"] + 0.05


def test_training_goes_on_from_a_multi_label_model_and_is_compared(qing, files, model, tmp_path):
    out = tmp_path / "more"
    told = train(qing, *files, out, "--from", model, "--epochs", 4).stderr
    assert "is a multi-label model, and so is the new one" in told and "classification head" in told and "is kept" in told
    result = qing("compare", model, out, "--data", files[1], "--chart", tmp_path / "c.svg", "--json")
    report = last_json(result)
    assert report["measures"]["micro F1"]["b"] > report["measures"]["micro F1"]["a"]
    low, high = report["measures"]["micro F1"]["difference_interval"]
    assert low < report["measures"]["micro F1"]["b"] - report["measures"]["micro F1"]["a"] < high
    tree.parse(tmp_path / "c.svg")


@pytest.mark.parametrize(
    "more, code, what",
    [
        (["--balance", 1], 2, "--balance does not fit multi-label training; --positive-weight"),
        (["--consistency", 1], 2, "--consistency does not fit"),
        (["--best", "accuracy"], 2, "choose one of micro_f1, macro_f1, subset_accuracy, loss"),
        (["--ordinal", 1], 2, "different kinds of training"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(qing, files, tmp_path, more, code, what):
    arguments = ["train", "--data", files[0], "--dev", files[1], "--multi-label", 1, "--out", tmp_path / "m", *more]
    result = qing(*arguments, check=False)
    assert result.returncode == code and what in result.stderr, result.stderr
    assert not (tmp_path / "m").exists()


def test_single_label_teachers_and_confusion_matrices_are_refused(qing, files, model, tmp_path):
    single = write(tmp_path / "single.csv", [(text, [name]) for text, labels in label_sets(300, 3) for name in labels[:1]])
    train(qing, single, single, tmp_path / "teacher", "--epochs", 1)
    arguments = ["train", "--data", files[0], "--dev", files[1], "--multi-label", 1, "--out", tmp_path / "m",
                 "--teacher", tmp_path / "teacher"]  # fmt: skip
    result = qing(*arguments, check=False)
    assert result.returncode == 1 and "is a single-label classifier, and the student a multi-label one" in result.stderr
    result = qing("eval", "--model", model, "--data", files[1], "--confusion", tmp_path / "c.svg", check=False)
    assert result.returncode == 2 and "--curves" in result.stderr


def test_single_label_training_proposes_several_labels(qing, tmp_path):
    rows = [(text, labels) for text, labels in label_sets(400, 4) if labels]
    data = write(tmp_path / "some.csv", rows, ";")
    told = train(qing, data, data, tmp_path / "m", "--epochs", 1).stderr
    assert "is taken for one label; if it is several, add --multi-label 1" in told
    empty = write(tmp_path / "empty.csv", label_sets(400, 4))
    result = qing("train", "--data", empty, "--out", tmp_path / "n", check=False)
    assert result.returncode == 1 and "empty.csv:" in result.stderr and "--multi-label 1" in result.stderr


def test_a_label_that_the_model_lacks_names_file_and_line(qing, model, tmp_path):
    data = write(tmp_path / "other.csv", [("goal and soup", ["sport", "food"]), ("goal", ["sport", "chess"])])
    result = qing("eval", "--model", model, "--data", data, check=False)
    assert result.returncode == 1 and f"{data}:3: unknown label 'chess'" in result.stderr


def test_the_server_and_the_client_give_several_labels(qing, model, tmp_path):
    (tmp_path / "topics").mkdir()
    (tmp_path / "topics/1").symlink_to(model)
    texts = ["soup and bread for the team at the match", "the of a"]
    wanted = [json.loads(line) for line in
              qing("predict", "--model", model, "--json", input="\n".join(texts) + "\n").stdout.splitlines()]  # fmt: skip
    with served(qing, tmp_path) as endpoint:
        _, _, answer = ask(f"{endpoint}/v1/models/topics/predict", {"texts": texts, "explain": True})
        for one, other in zip(answer["predictions"], wanted):
            assert one["labels"] == other["labels"] and one["scores"] == pytest.approx(other["scores"], abs=1e-6)
            assert one["score"] == max(one["scores"].values()) and one["explanation"]["gap"] < 2e-3
        _, _, about = ask(f"{endpoint}/v1/models/topics")
        assert about["problem"] == "multi-label"
        request = {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [2], "data": texts}]}
        _, _, answer = ask(f"{endpoint}/v2/models/topics/infer", request)
        tensors = {tensor["name"]: tensor for tensor in answer["outputs"]}
        assert [json.loads(labels) for labels in tensors["labels"]["data"]] == [one["labels"] for one in wanted]
        assert tensors["scores"]["shape"] == [2, 4]
        _, _, answer = ask(f"{endpoint}/classify", {"model": "topics", "input": texts})
        assert [one["labels"] for one in answer["data"]] == [one["labels"] for one in wanted]
        predictions = MaaSClient(endpoint=endpoint).get_model("topics").predict(texts)
        assert [list(one.labels) for one in predictions] == [one["labels"] for one in wanted]
        assert predictions == ["|".join(one["labels"]) for one in wanted]
        _, headers, _ = ask(f"{endpoint}/v1/models/topics/predict", {"texts": texts})
        body = {"request_id": headers["X-Request-Id"], "label": "food"}
        status, _, answer = ask(f"{endpoint}/v1/feedback", body)
        assert status != 200, answer  # without a state there is none; with one the model is refused


@pytest.fixture(scope="module")
def stars(tmp_path_factory):
    rng, folder, paths = random.Random(7), tmp_path_factory.mktemp("stars"), []
    for name, count in (("train.csv", 800), ("dev.csv", 200)):
        lines = []
        for _ in range(count):
            star = rng.randrange(5)
            word = STARS[min(4, max(0, star + rng.choice([0, 0, 0, 1, -1])))]
            lines.append(f"{rng.choice(FILL)} {word} {rng.choice(FILL)},{star + 1}\n")
        paths.append(folder / name)
        paths[-1].write_text("text,stars\n" + "".join(lines))
    return paths


def test_ordered_labels_have_the_measures_of_scikit_learn(qing, stars, tmp_path):
    told = train(qing, *stars, tmp_path / "m", "--ordinal", 1, "--epochs", 4).stderr
    assert "quadratic weighted kappa" in told
    report = last_json(
        qing("eval", "--model", tmp_path / "m", "--data", stars[1], "--out", tmp_path / "r.csv", "--json")
    )
    rows = rows_of(tmp_path / "r.csv")
    expected, predicted = ([int(row[name]) for row in rows] for name in ("label", "predicted_label"))
    kappa = metrics.cohen_kappa_score(expected, predicted, weights="quadratic", labels=[1, 2, 3, 4, 5])
    assert report["quadratic_weighted_kappa"] == pytest.approx(kappa, abs=1e-12) and kappa > 0.7
    assert report["mae"] == pytest.approx(metrics.mean_absolute_error(expected, predicted), abs=1e-12)
    assert report["accuracy"] == pytest.approx(metrics.accuracy_score(expected, predicted), abs=1e-12)
    values = [float(row["value"]) for row in rows]
    assert report["mae_of_expected_value"] == pytest.approx(metrics.mean_absolute_error(expected, values), abs=1e-5)
    for row, value in zip(rows, values):
        assert value == pytest.approx(sum(i * float(row[f"score_{i}"]) for i in range(1, 6)), abs=1e-4)
    assert "weighted kappa" in (tmp_path / "m/README.md").read_text()
    answer = json.loads(qing("predict", "--model", tmp_path / "m", "--json", input="the superb of\n").stdout)
    assert answer["label"] in "45" and answer["value"] > 4
    theirs = AutoModelForSequenceClassification.from_pretrained(tmp_path / "m")
    assert theirs.config.problem_type == "single_label_classification"


def test_labels_without_numbers_need_their_order(qing, tmp_path):
    data = tmp_path / "words.csv"
    data.write_text("text,label\n" + "".join(f"{word} thing,{word}\n" for word in STARS * 8))
    result = qing("train", "--data", data, "--out", tmp_path / "m", "--ordinal", 1, "--dev-share", 0, check=False)
    assert result.returncode == 2 and "give them from the lowest to the highest" in result.stderr
    qing("train", "--data", data, "--out", tmp_path / "m", "--ordinal", 1, "--labels", ",".join(STARS), "--dev-share", 0,
         "--layers", 1, "--width", 32, "--epochs", 1)  # fmt: skip
    answer = json.loads(qing("predict", "--model", tmp_path / "m", "--json", input="superb thing\n").stdout)
    assert 1 <= answer["value"] <= 5


def test_numbers_have_the_measures_of_scipy(qing, tmp_path):
    rng, paths = random.Random(3), []
    for name, count in (("train.csv", 800), ("dev.csv", 200)):
        paths.append(tmp_path / name)
        lines = []
        for _ in range(count):
            star = rng.randrange(5)
            lines.append(f"{rng.choice(FILL)} {STARS[star]} {rng.choice(FILL)},{1000 + 250 * star + rng.gauss(0, 40):.2f}\n")
        paths[-1].write_text("text,label\n" + "".join(lines))
    model = tmp_path / "m"
    train(qing, *paths, model, "--regression", 1, "--epochs", 8)
    report = last_json(qing("eval", "--model", model, "--data", paths[1], "--out", tmp_path / "r.csv", "--json"))
    rows = rows_of(tmp_path / "r.csv")
    expected, predicted = ([float(row[name]) for row in rows] for name in ("value", "predicted_value"))
    assert report["mse"] == pytest.approx(metrics.mean_squared_error(expected, predicted), rel=1e-6)
    assert report["mae"] == pytest.approx(metrics.mean_absolute_error(expected, predicted), rel=1e-6)
    assert report["pearson"] == pytest.approx(stats.pearsonr(expected, predicted).statistic, abs=1e-9)
    assert report["spearman"] == pytest.approx(stats.spearmanr(expected, predicted).statistic, abs=1e-9)
    assert report["pearson"] > 0.98 and report["mse"] < 60**2
    theirs = AutoModelForSequenceClassification.from_pretrained(model).eval()
    assert theirs.config.problem_type == "regression" and theirs.config.num_labels == 1
    with torch.no_grad():
        wanted = theirs(**AutoTokenizer.from_pretrained(model)("the good of", return_tensors="pt")).logits.item()
    answer = json.loads(qing("predict", "--model", model, "--json", input="the good of\n").stdout)
    assert answer["value"] == pytest.approx(wanted, rel=1e-5)
    bad = tmp_path / "bad.csv"
    bad.write_text("text,label\nthe good of,much\n")
    result = qing("eval", "--model", model, "--data", bad, check=False)
    assert result.returncode == 1 and f"{bad}:2: 'much' is not a number" in result.stderr
    # A head that goes on learns in the units of the new numbers.
    told = train(qing, *paths, tmp_path / "more", "--from", model, "--epochs", 1, lr=1e-5).stderr
    assert "is a regression model, and so is the new one" in told
    more = last_json(qing("eval", "--model", tmp_path / "more", "--data", paths[1], "--json"))
    assert more["pearson"] > 0.98 and more["mse"] < 60**2
