"""Training jobs of several labels, ordered labels and numbers: the bits of `qing train`, what the service says of them, every
form of their files, and what is refused."""

import csv
import io
import json

import pytest
from conftest import RunningServer, ask
from job_tools import client_of, finished, messages, upload
from maas_sdk import JobFailedError, MaaSClient
from test_multi_label import LABELS, label_sets
from test_problem_kinds import KINDS, model_files, star_rows

SMALL = {"layers": 1, "width": 32, "vocab": 300, "max_length": 32, "lr": 5e-3, "batch": 16, "epochs": 4, "ngrams": 0}
MEASURES = {
    "multi-label": ["micro_f1", "macro_f1", "subset_accuracy", "loss"],
    "ordinal": ["kappa", "mae", "accuracy", "macro_recall", "macro_f1", "loss"],
    "regression": ["mse", "mae", "pearson", "spearman"],
}
NAMES = {"multi-label": LABELS, "ordinal": list("12345"), "regression": ["value"]}


def table(kind, count=400, seed=1):
    if kind != "multi-label":
        return star_rows(count, seed, kind == "regression")
    return "text,label\n" + "".join(f"{text},{'|'.join(labels)}\n" for text, labels in label_sets(count, seed))


def columns(count, seed=1):
    rows = (f"{text},{','.join(str(int(name in labels)) for name in LABELS)}\n" for text, labels in label_sets(count, seed))
    return f"text,{','.join(LABELS)}\n" + "".join(rows)


def flag(kind):
    return {kind.replace("-", "_"): 1}


@pytest.fixture(scope="module")
def server(qing, tmp_path_factory):
    """With a model of each kind, which `qing train` made from the table of its kind."""
    folder = tmp_path_factory.mktemp("kind_jobs")
    for kind in KINDS:
        data = folder / f"{kind}.csv"
        data.write_text(table(kind))
        words = [word for name, value in SMALL.items() for word in (f"--{name.replace('_', '-')}", value)]
        qing("train", "--data", data, f"--{kind}", 1, *words, "--out", folder / "models" / kind / "1")
    running = RunningServer(qing.binary, "--port", 0, "--models", folder / "models", "--state", folder / "state")
    running.folder = folder
    yield running
    running.stop()


@pytest.fixture(scope="module")
def client(server):
    with MaaSClient(api_key="any", endpoint=server.endpoint) as client:
        yield client


def uploaded(client, content, name="train.csv"):
    return client.files.create(file=(name, io.BytesIO(content.encode())))


def trained(server, client, content, **options):
    job = client.jobs.create(training_file=uploaded(client, content).id, **{**SMALL, **options}).wait(progress=False)
    return job, server.folder / "state/models" / job.model / "1"


@pytest.mark.parametrize("kind", KINDS)
def test_a_job_makes_the_bits_of_the_command(server, client, kind):
    job, folder = trained(server, client, table(kind), **flag(kind))
    assert model_files(folder) == model_files(server.folder / "models" / kind / "1")

    outcome = job.fields["outcome"]
    assert outcome["problem"] == kind and outcome["labels"] == NAMES[kind]
    assert list(outcome["validation"]) == MEASURES[kind] and outcome["validation_texts"] > 20
    run = [json.loads(line) for line in (folder / "run/metrics.jsonl").read_text().splitlines()]
    evaluations = [line for line in run if line["type"] == "evaluation"]
    best = max(evaluations, key=lambda line: line["score"])
    assert outcome["best_step"] == best["step"]
    # The last bit of a number may change when JSON is parsed.
    wanted = {name: best["dev"][0][name] for name in MEASURES[kind]}
    assert outcome["validation"] == pytest.approx(wanted, rel=1e-12)
    assert (outcome["validation"]["mse"] < 1e5) if kind == "regression" else best["score"] > 0.5
    rows = list(csv.DictReader(io.StringIO(client.files.content(job.result_files[0]).decode())))
    assert list(rows[0]) == ["step", "train_loss", *(f"valid_{name}" for name in MEASURES[kind])]
    measured = {int(row["step"]): float(row[f"valid_{KINDS[kind]}"]) for row in rows if row[f"valid_{KINDS[kind]}"]}
    assert measured == pytest.approx({line["step"]: line["dev"][0][KINDS[kind]] for line in evaluations}, rel=1e-12)

    events = job.events()
    assert any(f"({kind})" in event["message"] for event in events if "Files validated" in event["message"])
    told = [event["data"] for event in events if "validation " in event["message"]]
    assert [point["step"] for point in told] == [line["step"] for line in evaluations]
    assert told[-1][f"valid_{KINDS[kind]}"] == pytest.approx(evaluations[-1]["dev"][0][KINDS[kind]], rel=1e-12)
    checkpoint = ask(f"{server.endpoint}/v1/jobs/{job.id}/checkpoints")[2]["data"][0]
    assert checkpoint["step_number"] == best["step"]

    card = (folder / "README.md").read_text()
    assert {"multi-label": "micro-F1", "ordinal": "kappa", "regression": "mean absolute error"}[kind].lower() in card.lower()
    info = ask(f"{server.endpoint}/v1/models/{job.model}")[2]
    assert info["problem"] == kind and info["labels"] == NAMES[kind]
    assert str(server.folder) not in card


@pytest.mark.parametrize("kind", KINDS)
def test_a_fine_tuned_model_keeps_its_kind_and_head(qing, server, client, kind, tmp_path):
    """Also by OpenAI's route, which knows no kinds. The labels that the file lacks stay."""
    lines = table(kind, 300, seed=5).splitlines()
    if kind == "multi-label":
        lines = [lines[0], *(line for line in lines[1:] if "law" not in line)]
    content = "\n".join(line for line in lines if not line.endswith(",5")) + "\n"
    (tmp_path / "more.csv").write_text(content)
    openai = client_of(server)
    job = openai.fine_tuning.jobs.create(model=kind, training_file=upload(openai, content.encode()), seed=3,
                                         hyperparameters={"n_epochs": 2, "batch_size": 16})  # fmt: skip
    done = finished(openai, job)
    assert done.status == "succeeded", done.error
    folder = server.folder / "state/models" / done.fine_tuned_model / "1"
    base = server.folder / "models" / kind / "1"
    result = qing("train", "--from", base, "--data", tmp_path / "more.csv", "--epochs", 2, "--batch", 16, "--lr", 3e-4,
                  "--seed", 3, "--ngrams", 0 if kind == "regression" else 2, "--out", tmp_path / "m")  # fmt: skip
    assert "is kept" in result.stderr
    assert model_files(folder) == model_files(tmp_path / "m")
    assert json.loads((folder / "config.json").read_text())["id2label"] == dict(zip("01234", NAMES[kind]))
    assert any("validation " in line for line in messages(openai, job))


def test_every_form_of_several_labels_makes_the_same_model(server, client):
    """Names between separators, a column for each label, and columns and separators that the request names."""
    base = None
    rows = label_sets(300, 3)
    lists = "".join(json.dumps({"text": text, "labels": labels}) + "\n" for text, labels in rows)
    named = "body,topics\n" + "".join(f"{text},{'/'.join(labels)}\n" for text, labels in rows)
    marked = columns(300, 3).replace("text,", "words,", 1)
    for content, report, options in (
        (table("multi-label", 300, 3), "multi-label", {"multi_label": 1}),
        (lists, "multi-label", {"multi_label": 1}),
        (columns(300, 3), "multi-label", {"multi_label": 1}),
        (marked, "single-label", {"label_columns": LABELS, "text_column": "words"}),
        (named, "single-label", {"multi_label": 1, "label_column": "topics", "label_separator": "/"}),
    ):
        file = uploaded(client, content)
        assert file.kind == report, content[:60]
        if report == "multi-label":
            counts = {name: sum(name in labels for _, labels in rows) for name in LABELS}
            assert file.labels == counts and file.wrong_rows == 0 and file.numbers is None
        options = {**SMALL, "epochs": 1, "labels": LABELS, **options}
        job = client.jobs.create(training_file=file.id, **options).wait(progress=False)
        files = model_files(server.folder / "state/models" / job.model / "1")
        base = base or files
        assert files == base


def test_numbers_are_reported_and_named(server, client):
    content = table("regression", 300)
    file = uploaded(client, content)
    values = [float(line.split(",")[1]) for line in content.splitlines()[1:]]
    assert file.kind == "regression" and file.labels == {} and file.rows == 300
    assert file.numbers == pytest.approx({"least": min(values), "mean": sum(values) / 300, "most": max(values)})
    named, folder = trained(server, client, content.replace("text,label", "text,price", 1), regression=1, epochs=1,
                            label_column="price", labels=["price"], best="spearman")  # fmt: skip
    assert named.fields["outcome"]["labels"] == ["price"]
    run = [json.loads(line) for line in (folder / "run/metrics.jsonl").read_text().splitlines()]
    evaluations = [line for line in run if line["type"] == "evaluation"]
    assert [line["score"] for line in evaluations] == [line["dev"][0]["spearman"] for line in evaluations]


def test_a_search_compares_by_the_measure_of_the_kind(server, client):
    """A score of numbers is an error, so that the least is the best."""
    job, _ = trained(server, client, table("regression", 300), regression=1, epochs=2, search={"settings": 2, "epochs": 1})
    scores = list(job.fields["outcome"]["search"].values())
    assert len(scores) == 2 and all(score < 0 for score in scores) and len(set(scores)) == 2


@pytest.mark.parametrize("body, said", [
    ({"multi_label": 1, "ordinal": 1}, "multi_label: excludes ordinal and regression"),
    ({"multi_label": 1, "balance": 0.5}, "balance: does not fit multi-label training"),
    ({"regression": 1, "ngrams": 2}, "ngrams: does not fit regression training"),
    ({"positive_weight": 1}, "positive_weight: does not fit single-label training"),
    ({"multi_label": 1, "best": "macro_recall"}, "best: multi-label training has no measure macro_recall; give one of "
                                                 "micro_f1, macro_f1, subset_accuracy, loss"),
    ({"best": "mse"}, "best: single-label training has no measure mse"),
    ({"best": "beauty"}, "best: must be one of macro_recall"),
    ({"ordinal": 1, "labels": ["2", "1"]}, "labels: ordered labels that are numbers must ascend"),
    ({"regression": 1, "labels": ["a", "b"]}, "labels: a number has one name"),
    ({"ordinal": 1, "label_columns": ["a"]}, "label_columns: is for several labels"),
    ({"label_separator": ";"}, "label_separator: is for several labels"),
    ({"multi_label": 1, "label_separator": "ab"}, "label_separator: must be one ASCII sign"),
    ({"label_columns": ["a", "a"]}, "label_columns: 'a' is given twice"),
    ({"label_columns": "a"}, "label_columns: must be a list"),
    ({"label_columns": ["a"], "label_column": "b"}, "label_column: the labels are in label_columns"),
    ({"label_column": " "}, "label_column: must be the name of a column"),
    ({"multi_label": 2}, "multi_label: is 2; it must be in [0, 1]"),
    ({"model": "regression", "label_separator": ";"}, "label_separator: is for several labels, and this is regression"),
    ({"model": "multi-label", "regression": 1, "multi_label": 1}, "multi_label: excludes"),
])  # fmt: skip
def test_options_that_do_not_fit_are_refused_at_once(server, client, body, said):
    file = uploaded(client, table("ordinal", 20)).id
    status, _, answer = ask(f"{server.endpoint}/v1/jobs", {"model": "scratch", "training_file": file, **body})
    assert status == 422 and said in answer["error"], answer


@pytest.mark.parametrize("content, options, said", [
    ("text,label\na,1\nb,many\nc,3\n", {"regression": 1}, "line 3: 'many' is not a number"),
    ("text,label\na,low\nb,high\n", {"ordinal": 1}, "give them from the lowest to the highest in labels"),
    ("text,label\na,1\nb,1\n", {"ordinal": 1}, "all texts have one label"),
    ("text,label\na,\nb,\n", {"multi_label": 1}, "no row has a label"),
    ("text,x,y\na,1,0\nb,maybe,1\n", {"multi_label": 1}, "no column 'label'"),
    ("text,x,y\na,1,0\nb,maybe,1\n", {"label_columns": ["x", "y"]}, "line 3: the column 'x' holds 'maybe'"),
    ("text,x,y\na,1,0\nb,0,1\n", {"label_columns": ["x", "z"]}, "no column 'z'"),
    ("text,x,y\na,1,0\nb,0,1\n", {"multi_label": 1, "labels": ["x", "z"]}, "the column 'y' is none of the labels"),
    ("text,label\na,x|y\nb,z\n", {"multi_label": 1, "labels": ["x", "y"]}, "line 3: the label is none of the model's"),
    ("text,label\na,x|y\nb,z\n", {"multi_label": 1, "label_separator": ";", "labels": ["z"]}, "line 2: the label is none"),
])  # fmt: skip
def test_files_that_do_not_fit_fail_the_job_with_their_line(client, content, options, said):
    job = client.jobs.create(training_file=uploaded(client, content).id, **{**SMALL, **options})
    with pytest.raises(JobFailedError, match="invalid|") as error:
        job.wait(progress=False)
    assert error.value.code == "invalid_training_file" and said in str(error.value)


def test_a_validation_file_is_read_as_the_training_file(server, client):
    wrong = uploaded(client, "text,label\na,food|nothing\n")
    job = client.jobs.create(training_file=uploaded(client, table("multi-label", 60)).id, validation_file=wrong.id,
                             multi_label=1, **{**SMALL, "epochs": 1})  # fmt: skip
    with pytest.raises(JobFailedError, match="line 2: the label is none of the model's") as error:
        job.wait(progress=False)
    assert error.value.code == "invalid_validation_file"
    good = uploaded(client, table("multi-label", 50, seed=9))
    job = client.jobs.create(training_file=uploaded(client, table("multi-label", 60)).id, validation_file=good.id,
                             multi_label=1, **{**SMALL, "epochs": 1}).wait(progress=False)  # fmt: skip
    assert job.fields["outcome"]["validation_texts"] == 50
