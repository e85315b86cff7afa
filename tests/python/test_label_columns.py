"""Multi-label tables with a column for each label, as the Jigsaw toxicity data have it: training, evaluation, comparison,
predictions that can be trained on again, and bad cells."""

import csv
import json
import random

import pytest

LABELS = ["toxic", "obscene", "threat"]
WORDS = {"toxic": ["idiot", "moron"], "obscene": ["crap", "damn"], "threat": ["kill", "hurt"]}
FILL = "the a of in and we they was near about some new old first last".split()


def comments(count, seed):
    rng, rows = random.Random(seed), []
    for _ in range(count):
        labels = [label for label in LABELS if rng.random() < 0.4]
        words = [rng.choice(FILL) for _ in range(5)] + [rng.choice(WORDS[label]) for label in labels]
        rng.shuffle(words)
        rows.append((" ".join(words), labels))
    return rows


def write(path, rows, yes="1", no="0", text="comment_text"):
    with open(path, "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["id", text, *LABELS])
        for i, (comment, labels) in enumerate(rows):
            table.writerow([f"{i:016x}", comment, *(yes if name in labels else no for name in LABELS)])
    return path


def rows_of(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("columns")
    return write(folder / "train.csv", comments(600, 1)), write(folder / "dev.csv", comments(150, 2))


def train(qing, data, dev, out, *more, **how):
    return qing("train", "--data", data, "--dev", dev, "--layers", 1, "--width", 64, "--vocab", 300, "--max-length", 32,
                "--lr", 5e-3, "--dropout", 0, "--epochs", 6, "--out", out, *more, **how)  # fmt: skip


@pytest.fixture(scope="module")
def model(qing, files, tmp_path_factory):
    out = tmp_path_factory.mktemp("model") / "1"
    told = train(qing, *files, out, "--multi-label", 1).stderr
    assert "a label in each of the columns 'toxic', 'obscene', 'threat'" in told, told
    return out


def test_the_labels_are_the_columns_in_their_order(qing, files, model, tmp_path):
    assert list(json.loads((model / "config.json").read_text())["id2label"].values()) == LABELS
    # The same training by the names of the columns, and by a field of joined labels.
    named = tmp_path / "named"
    told = train(qing, *files, named, "--label-columns", ",".join(LABELS)).stderr
    assert "trains several labels, as --multi-label 1 does" in told
    joined = []
    for file in files:
        joined.append(tmp_path / file.name)
        with open(joined[-1], "w", newline="") as out:
            table = csv.writer(out)
            table.writerow(["text", "label"])
            for row in rows_of(file):
                table.writerow([row["comment_text"], "|".join(name for name in LABELS if row[name] == "1")])
    field = tmp_path / "field"
    train(qing, *joined, field, "--multi-label", 1, "--labels", ",".join(LABELS))
    for other in (named, field):
        assert (other / "model.safetensors").read_bytes() == (model / "model.safetensors").read_bytes()


def test_marks_of_every_form_are_evaluated_alike(qing, files, model, tmp_path):
    wanted = json.loads(qing("eval", "--model", model, "--data", files[1], "--json").stdout.splitlines()[-1])
    assert wanted["micro_f1"] > 0.75
    for yes, no in (("True", "False"), ("yes", "no"), ("1.0", "0.0")):
        other = write(tmp_path / "other.csv", comments(150, 2), yes, no)
        found = json.loads(qing("eval", "--model", model, "--data", other, "--json").stdout.splitlines()[-1])
        assert found["micro_f1"] == wanted["micro_f1"] and found["log_loss"] == wanted["log_loss"]
    mapped = tmp_path / "mapped.csv"
    mapped.write_text(files[1].read_text().replace("toxic,", "rude,", 1))
    found = qing("eval", "--model", model, "--data", mapped, "--map", "rude=toxic", "--json").stdout.splitlines()[-1]
    assert json.loads(found)["micro_f1"] == wanted["micro_f1"]


def test_columns_that_are_not_the_labels_are_refused(qing, files, model, tmp_path):
    for header, what in (("rude", "the column 'rude' is none of the labels"), ("", "the label 'toxic' has no column")):
        other = tmp_path / "other.csv"
        rows = rows_of(files[1])
        names = ["comment_text", *([header] if header else []), "obscene", "threat"]
        with open(other, "w", newline="") as out:
            table = csv.writer(out)
            table.writerow(names)
            table.writerows([[row.get(name, row["toxic"]) for name in names] for row in rows])
        result = qing("eval", "--model", model, "--data", other, check=False)
        assert result.returncode == 1 and f"{other}:1: {what}" in result.stderr, result.stderr
    result = qing("compare", model, model, "--data", files[1], "--label-columns", ",".join(LABELS))
    assert "micro F1" in result.stdout


def test_bad_cells_stop_or_are_skipped_with_their_line(qing, files, model, tmp_path):
    bad = tmp_path / "bad.csv"
    lines = files[1].read_text().splitlines()
    lines[10] = lines[10][:-1] + "-1"
    lines[20] = lines[20][:-1]
    bad.write_text("\n".join(lines) + "\n")
    result = qing("eval", "--model", model, "--data", bad, check=False)
    assert result.returncode == 1 and f"{bad}:11: the column 'threat' holds '-1'; write 1 or 0" in result.stderr
    result = qing("eval", "--model", model, "--data", bad, "--bad-rows", "skip", "--json")
    assert f"{bad}:21: the column 'threat' is empty" in result.stderr and "2 rows were skipped" in result.stderr
    assert json.loads(result.stdout.splitlines()[-1])["examples"] == 148
    result = train(qing, bad, files[1], tmp_path / "m", "--multi-label", 1, check=False)
    assert result.returncode == 1 and f"{bad}:11:" in result.stderr and not (tmp_path / "m").exists()


def test_predictions_as_columns_can_be_trained_on(qing, files, model, tmp_path):
    texts = tmp_path / "texts.csv"
    texts.write_text("text\n" + "".join(text + "\n" for text, _ in comments(40, 5)))
    out = tmp_path / "out.csv"
    qing("predict", "--model", model, "--file", texts, "--out", out, "--label-columns", "threat,toxic,obscene")
    answers = [json.loads(line) for line in qing("predict", "--model", model, "--file", texts, "--json").stdout.splitlines()]
    rows = rows_of(out)
    assert list(rows[0])[:4] == ["text", "threat", "toxic", "obscene"]
    for row, answer in zip(rows, answers, strict=True):
        assert [name for name in LABELS if row[name] == "1"] == answer["labels"]
        assert all(row[name] in "01" for name in LABELS)
    report = qing("eval", "--model", model, "--data", out, "--label-columns", ",".join(LABELS), "--json").stdout
    assert json.loads(report.splitlines()[-1])["subset_accuracy"] == 1
    # Columns that are there already stay as they are.
    qing("predict", "--model", model, "--file", files[1], "--out", out, "--label-columns", ",".join(LABELS))
    rows = rows_of(out)
    assert [row["toxic"] for row in rows] == [row["toxic"] for row in rows_of(files[1])]
    assert {row["predicted_toxic"] for row in rows} == {"0", "1"}


@pytest.mark.parametrize(
    "more, what",
    [
        (["--label-columns", "toxic,toxic"], "'toxic' is given twice"),
        (["--label-columns", "toxic", "--label-column", "threat"], "leave --label-column out"),
        (["--label-columns", "toxic", "--label-separator", ";"], "leave --label-separator out"),
        (["--label-columns", "toxic", "--multi-label", 0], "train them with --multi-label 1"),
        (["--label-columns", "toxic", "--regression", 1], "train them with --multi-label 1"),
    ],
)
def test_options_that_contradict_each_other_are_refused(qing, files, tmp_path, more, what):
    result = qing("train", "--data", files[0], "--out", tmp_path / "m", *more, check=False)
    assert result.returncode == 2 and what in result.stderr, result.stderr


def test_predictions_refuse_labels_that_the_model_lacks(qing, files, model, tmp_path):
    for more, what in (
        (["--out", tmp_path / "o.csv", "--label-columns", "rude"], "has no label 'rude'"),
        (["--out", tmp_path / "o.txt", "--label-columns", "toxic"], "has no columns"),
        (["--label-columns", "toxic"], "needs --out"),
    ):
        result = qing("predict", "--model", model, "--file", files[1], *more, check=False)
        assert result.returncode == 2 and what in result.stderr, result.stderr
        assert not (tmp_path / "o.csv").exists()


def test_a_look_at_such_a_table_names_its_labels(qing, files):
    survey = json.loads(qing("data", files[0], "--json").stdout)
    one = survey["files"][0]
    assert one["label_columns"] == LABELS
    assert one["label_sets"]["labels"] == {name: sum(row[name] == "1" for row in rows_of(files[0])) for name in LABELS}
    assert any("--multi-label 1 --label-columns toxic,obscene,threat" in warning for warning in survey["warnings"])
    assert "toxic (label)" in qing("data", files[0]).stdout


def test_a_training_of_single_labels_proposes_the_columns(qing, files, tmp_path):
    result = qing("train", "--data", files[0], "--out", tmp_path / "m", check=False)
    assert result.returncode == 1 and "seem to mark a label each: --multi-label 1" in result.stderr


def test_a_resumed_training_keeps_the_columns(qing, files, tmp_path):
    train(qing, *files, tmp_path / "m", "--label-columns", "toxic,threat")
    assert json.loads((tmp_path / "m/run/run.json").read_text())["options"]["label-columns"] == ["toxic", "threat"]
    assert "already finished" in qing("train", "--resume", "--out", tmp_path / "m").stderr
