"""`qing train --tune MINUTES`: trials within a time limit, compared on the dev set."""

import json
import signal
import subprocess
import time

import pytest
from conftest import small_training, synthetic_rows, write_tsv

OPTIONS = ["--dev-share", 0.2, "--epochs", 2, "--lr", 1e-3, "--batch", 32]


def trials_of(out):
    return [json.loads(line) for line in (out / "run/trials.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def tuned(qing, tiny_data, tmp_path_factory):
    out = tmp_path_factory.mktemp("tuned") / "m"
    begin = time.monotonic()
    result = qing(*small_training(tiny_data, out, *OPTIONS, "--tune", 0.15, "--json"))
    return out, result, time.monotonic() - begin


def test_the_best_trial_is_the_model(qing, tiny_data, tuned, tmp_path):
    out, result, _ = tuned
    trials = trials_of(out)
    assert len(trials) >= 3 and [trial["trial"] for trial in trials] == list(range(1, len(trials) + 1))
    first = trials[0]
    assert [first[name] for name in ("lr", "epochs", "batch", "dropout", "weight_decay")] == [1e-3, 2, 32, 0.1, 0.01]
    best = max((trial for trial in trials if trial["end"] == "finished"), key=lambda trial: trial["macro_recall"])
    assert result.stderr.count("\ntrial ") + result.stderr.startswith("trial ") == len(trials)
    text = (f"--lr {best['lr']:g} --epochs {best['epochs']} --batch {best['batch']} --dropout {best['dropout']:g} "
            f"--weight-decay {best['weight_decay']:g}")  # fmt: skip
    assert f"is trial {best['trial']} with macro-recall {best['macro_recall']:.4f}: {text}." in result.stderr
    assert text in (out / "README.md").read_text() and "The options come from a search." in (out / "README.md").read_text()
    summary = json.loads(result.stdout.splitlines()[-1])
    assert summary["trials"] == len(trials) and summary["best_trial"] == best["trial"]
    assert not (out / "run/trials").exists()
    record = json.loads((out / "run/run.json").read_text())
    assert record["state"] == "finished" and record["options"]["tune"] == ["0"]
    assert float(record["options"]["lr"][0]) == best["lr"] and int(record["options"]["batch"][0]) == best["batch"]
    evaluations = [json.loads(line) for line in (out / "run/metrics.jsonl").read_text().splitlines() if "evaluation" in line]
    assert max(line["macro_recall"] for line in evaluations) == best["macro_recall"]
    # The options train the same model without a search.
    qing("train", "--config", out / "run/config.toml", "--out", tmp_path / "again")
    assert (tmp_path / "again/model.safetensors").read_bytes() == (out / "model.safetensors").read_bytes()
    assert "already finished" in qing("train", "--resume", "--out", out).stderr


def test_the_search_ends_in_time(tuned):
    _, _, seconds = tuned
    # The limit is 9 s. What follows it, the calibration and the reports, is short here.
    assert seconds < 60


def test_trials_are_the_same_in_another_run(qing, tiny_data, tuned, tmp_path):
    out, _, _ = tuned
    qing(*small_training(tiny_data, tmp_path / "m", *OPTIONS, "--tune", 0.1))
    for mine, theirs in zip(trials_of(tmp_path / "m"), trials_of(out)):
        for name in ("lr", "batch", "dropout", "weight_decay"):
            assert mine[name] == theirs[name]
        if (mine["end"], mine["epochs"]) == (theirs["end"], theirs["epochs"]) == ("finished", theirs["epochs"]):
            assert mine["macro_recall"] == theirs["macro_recall"]


def test_ctrl_c_ends_the_search_with_the_best(qing, tiny_data, tmp_path):
    out = tmp_path / "m"
    command = [qing.binary, *map(str, small_training(tiny_data, out, *OPTIONS, "--tune", 30, "--best", "accuracy"))]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        said = ""
        while "trial 2:" not in said:
            line = process.stderr.readline()
            assert line, said
            said += line
        process.send_signal(signal.SIGINT)
        said += process.stderr.read()
    assert process.returncode == 0 and "the best trial becomes the model" in said
    trials = trials_of(out)
    best = max((trial for trial in trials if trial["end"] == "finished"), key=lambda trial: trial["accuracy"])
    assert f"is trial {best['trial']} with accuracy {best['accuracy']:.4f}" in said
    assert qing("predict", "--model", out, "good").stdout


def test_a_first_trial_that_is_too_long_is_cut_and_can_be_resumed(qing, tmp_path):
    data = write_tsv(tmp_path / "d.tsv", synthetic_rows(600))
    out = tmp_path / "m"
    result = qing(*small_training(data, out, "--dev-share", 0.2, "--epochs", 100000, "--tune", 0.05))
    assert "No trial ended in time: the model is not finished." in result.stderr
    assert [trial["end"] for trial in trials_of(out)] == ["cut"]
    assert json.loads((out / "run/run.json").read_text())["state"] == "interrupted"
    assert qing("predict", "--model", out, "good").stdout
    again = qing(*small_training(data, out, "--dev-share", 0.2), check=False)
    assert again.returncode == 2 and "holds a training that stopped after step" in again.stderr
