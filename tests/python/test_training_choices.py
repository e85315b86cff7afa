"""What `qing train` decides by itself and says: labels of the data, a dev set by hash, the head of --from, the best model,
more epochs after the end."""

import json
import random
import re
import shutil
import subprocess
import time

import pytest
from conftest import small_training, synthetic_rows, write_tsv
from safetensors.numpy import load_file


def evaluations(out):
    lines = [json.loads(line) for line in (out / "run/metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["type"] == "evaluation"]


def labels_of(out):
    return list(json.loads((out / "config.json").read_text())["id2label"].values())


def record_of(out):
    return json.loads((out / "run/run.json").read_text())


@pytest.fixture(scope="module")
def stars(tmp_path_factory):
    """Texts whose labels are 1 to 5."""
    rng = random.Random(3)
    names = {"negative": "12", "neutral": "3", "positive": "45"}
    rows = [(rng.choice(names[label]), text) for label, text in synthetic_rows(240, seed=8)]
    return write_tsv(tmp_path_factory.mktemp("stars") / "stars.tsv", rows)


# --- labels ---


def test_labels_are_learned_sorted_and_shown(qing, tmp_path):
    rows = [(label, f"{text} {i}") for i, (label, text) in enumerate([("yes", "good"), ("no", "bad"), ("maybe", "so")] * 8)]
    data = write_tsv(tmp_path / "d.tsv", rows)
    result = qing(*small_training(data, tmp_path / "m", "--max-steps", 2))
    assert "labels of the data: maybe (8), no (8), yes (8)" in result.stderr
    assert labels_of(tmp_path / "m") == ["maybe", "no", "yes"]
    # The card, the file of options and the record have them.
    assert 'labels = ["maybe", "no", "yes"]' in (tmp_path / "m/run/config.toml").read_text()
    assert "--labels maybe,no,yes" in (tmp_path / "m/README.md").read_text()
    assert "already finished" in qing("train", "--resume", "--out", tmp_path / "m").stderr


def test_numbers_are_sorted_by_value(qing, tmp_path):
    data = write_tsv(tmp_path / "d.tsv", [(str(i % 11), f"text {i}") for i in range(44)])
    qing(*small_training(data, tmp_path / "m", "--max-steps", 1))
    assert labels_of(tmp_path / "m") == [str(i) for i in range(11)]


def test_a_map_gives_names_their_labels(qing, stars, tmp_path):
    refused = qing("eval", "--data", stars, check=False)
    assert refused.returncode == 1 and f"{stars}:2: unknown label" in refused.stderr
    proposed = "--map 1,2=negative --map 3=neutral --map 4,5=positive"
    assert proposed in refused.stderr
    plain = json.loads(qing("eval", "--data", stars, *proposed.split(), "--json").stdout.splitlines()[-1])
    assert plain["examples"] == 240 and set(plain["per_label"]) == {"negative", "neutral", "positive"}
    qing(*small_training(stars, tmp_path / "m", *proposed.split(), "--max-steps", 2))
    assert labels_of(tmp_path / "m") == ["negative", "neutral", "positive"]
    assert sum(record_of(tmp_path / "m")["data"][0]["label_texts"]) == 240
    # The rules are options of the run.
    assert proposed in (tmp_path / "m/README.md").read_text()
    again = qing("train", "--config", tmp_path / "m/run/config.toml", "--out", tmp_path / "again")
    assert "labels of the data" not in again.stderr
    assert (tmp_path / "again/model.safetensors").read_bytes() == (tmp_path / "m/model.safetensors").read_bytes()


def test_an_unknown_label_of_a_dev_set_names_file_and_line(qing, tiny_data, tmp_path):
    dev = write_tsv(tmp_path / "dev.tsv", [("positive", "good"), ("pos", "fine"), ("NEG", "bad")])
    result = qing(*small_training(tiny_data, tmp_path / "m", "--dev", dev), check=False)
    assert result.returncode == 1 and f"{dev}:3: unknown label 'pos'" in result.stderr
    assert "--map NEG=negative --map pos=positive" in result.stderr and not (tmp_path / "m").exists()


def test_one_label_cannot_be_learned(qing, tmp_path):
    data = write_tsv(tmp_path / "d.tsv", [("good", "x"), ("good", "y")])
    result = qing(*small_training(data, tmp_path / "m"), check=False)
    assert result.returncode == 1 and "all texts have the label 'good'" in result.stderr and str(data) in result.stderr
    assert not (tmp_path / "m").exists()


def test_a_label_may_have_a_comma(qing, tmp_path):
    data = write_tsv(tmp_path / "d.tsv", [("a,b", "x"), ("c", "y")])
    qing(*small_training(data, tmp_path / "m"))
    assert json.loads((tmp_path / "m/config.json").read_text())["id2label"] == {"0": "a,b", "1": "c"}
    again = json.loads(qing("predict", "--json", "--model", tmp_path / "m", "x").stdout)
    assert sorted(again["scores"]) == ["a,b", "c"]


# --- the dev set ---


def held_of(out):
    [held] = record_of(out)["dev"]
    return held


def test_a_dev_set_is_held_out(qing, tiny_data, tmp_path):
    result = qing(*small_training(tiny_data, tmp_path / "m", "--dev-share", 0.2, "--max-steps", 8))
    record = record_of(tmp_path / "m")
    held, trained = record["dev"][0]["texts"], record["data"][0]["texts"]
    assert held + trained == 600 and 60 < held < 180
    assert f"dev set: {held} of 600 texts of --data, held out by a hash of the text (--dev-share 0.2)" in result.stderr
    assert f"training on {trained} texts" in result.stderr and "are also in --data" not in result.stderr
    assert evaluations(tmp_path / "m") and (tmp_path / "m/run/confusion.svg").exists()
    assert f"| held out | model selection and evaluation | {held} |" in (tmp_path / "m/README.md").read_text()
    # The rows in another order are the same division.
    header, *rows = tiny_data.read_text(encoding="utf-8").splitlines()
    random.Random(1).shuffle(rows)
    shuffled = tmp_path / "shuffled.tsv"
    shuffled.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    qing(*small_training(shuffled, tmp_path / "s", "--dev-share", 0.2, "--max-steps", 1))
    assert held_of(tmp_path / "s")["label_texts"] == held_of(tmp_path / "m")["label_texts"]


def test_a_dev_set_is_held_out_unasked(qing, tiny_data, tmp_path):
    options = ["train", "--data", tiny_data, "--layers", 1, "--width", 32, "--vocab", 500, "--max-steps", 4]
    asked, unasked = tmp_path / "asked", tmp_path / "unasked"
    qing(*options, "--dev-share", 0.1, "--out", asked)
    assert "(--dev-share 0.1)" in qing(*options, "--out", unasked).stderr
    assert held_of(asked) == held_of(unasked)
    resumed = qing("train", "--resume", "--out", unasked)
    assert "already finished" in resumed.stderr
    few = write_tsv(tmp_path / "few.tsv", synthetic_rows(150))
    result = qing("train", "--data", few, *options[3:], "--out", tmp_path / "few")
    assert "no dev set: 150 texts are too few to hold some out unasked; give --dev or --dev-share" in result.stderr
    assert record_of(tmp_path / "few")["dev"] == [] and "already finished" in qing("train", "--resume", "--out", tmp_path / "few").stderr
    asked = qing("train", "--data", few, *options[3:], "--dev-share", 0.2, "--out", tmp_path / "some")
    assert "of 150 texts of --data" in asked.stderr and record_of(tmp_path / "some")["dev"]


def test_a_run_of_an_older_version_is_resumed(qing, tiny_data, tmp_path):
    out = tmp_path / "m"
    qing(*small_training(tiny_data, out, "--max-steps", 2))
    record = record_of(out)
    newer = ("best", "dev-share", "tune", "map", "byte-level", "chunks", "fast-reduce", "gradient-precision", "text-column",
             "label-column", "bad-rows")  # fmt: skip
    assert all(record["options"].pop(name, None) is not None for name in newer if name != "map")
    (out / "run/run.json").write_text(json.dumps(record))
    config = (out / "run/config.toml").read_text().splitlines()
    (out / "run/config.toml").write_text("\n".join(line for line in config if not line.startswith(newer)) + "\n")
    for _ in range(2):  # the first time writes the newer options down
        assert "already finished" in qing("train", "--resume", "--out", out).stderr


def test_the_given_dev_set_goes_before_the_share(qing, tiny_data, tmp_path):
    dev = write_tsv(tmp_path / "dev.tsv", synthetic_rows(50, seed=9))
    result = qing(*small_training(tiny_data, tmp_path / "m", "--dev", dev, "--dev-share", 0.5, "--max-steps", 1))
    assert "held out" not in result.stderr and record_of(tmp_path / "m")["data"][0]["texts"] == 600


# --- the model to begin with ---


def test_a_classifier_goes_on_with_its_head(qing, tiny_data, model_dir, tmp_path):
    before = load_file(model_dir / "model.safetensors")
    options = ["--data", tiny_data, "--from", model_dir, "--lr", 1e-30, "--weight-decay", 0, "--max-steps", 1, "--dev-share", 0]
    result = qing("train", *options, "--out", tmp_path / "m")
    assert f"the classification head of {model_dir} is kept" in result.stderr
    after = load_file(tmp_path / "m/model.safetensors")
    assert all((before[name] == after[name]).all() for name in before)


def test_some_of_the_labels_keep_the_head(qing, model_dir, tmp_path):
    rows = [(label, text) for label, text in synthetic_rows(60, seed=2) if label != "neutral"]
    data = write_tsv(tmp_path / "d.tsv", rows)
    result = qing("train", "--data", data, "--from", model_dir, "--max-steps", 1, "--out", tmp_path / "m")
    assert "neutral (0)" in result.stderr and "is kept" in result.stderr
    assert labels_of(tmp_path / "m") == ["negative", "neutral", "positive"]


def test_new_labels_get_a_new_head(qing, stars, model_dir, tmp_path):
    result = qing("train", "--data", stars, "--from", model_dir, "--max-steps", 1, "--dev-share", 0, "--out", tmp_path / "m")
    told = "the labels of {} are negative, neutral, positive; a new classification head begins for 1, 2, 3, 4, 5"
    assert told.format(model_dir) in result.stderr
    assert "To keep its head, add --map 1,2=negative --map 3=neutral --map 4,5=positive" in result.stderr
    assert load_file(tmp_path / "m/model.safetensors")["classifier.weight"].shape[0] == 5


def test_the_shipped_model_goes_on(qing, tiny_data, stars, tmp_path):
    small = ["--max-steps", 1, "--batch", 8, "--dev-share", 0]
    result = qing("train", "--from", "shipped", "--data", tiny_data, "--out", tmp_path / "m", "--lr", 1e-30, "--ngram-lr", 0, *small)
    assert "models/emotion_analysis/1 is kept" in result.stderr
    text = ["predict", "--json", "--logits", "--", "what a wonderful film"]
    theirs, ours = (json.loads(qing(*text[:1], *where, *text[1:]).stdout) for where in ([], ["--model", tmp_path / "m"]))
    assert ours["logits"] == pytest.approx(theirs["logits"], abs=1e-4)
    # Its n-grams go with its head, and new ones may stand beside the new head.
    result = qing("train", "--from", "shipped", "--data", stars, "--out", tmp_path / "n", "--ngrams", 2, *small)
    assert "a new classification head begins" in result.stderr and len(labels_of(tmp_path / "n")) == 5


def test_a_model_to_begin_with_has_its_own_sizes(qing, tiny_data, model_dir, tmp_path):
    words = ["train", "--data", tiny_data, "--out", tmp_path / "m", "--max-steps", 1]
    refused = qing(*words, "--from", model_dir, "--width", 64, "--vocab", 500, check=False)
    assert refused.returncode == 2 and "--width, --vocab: the model of --from has its own; leave them out, or --from" in refused.stderr
    qing(*words, "--from", model_dir)
    qing("train", "--config", tmp_path / "m/run/config.toml", "--out", tmp_path / "again")  # a run's file has these options, too
    nothing = qing("train", "--resume", "--out", tmp_path / "nope", check=False)
    assert nothing.returncode == 2 and f"--resume: there is no training to resume in {tmp_path}/nope" in nothing.stderr


# --- a model that has learned nothing, and labels that are probably one ---


def easy(path, count, seed):
    return write_tsv(path, synthetic_rows(count, seed=seed))


def test_a_model_that_only_guesses_is_told(qing, tmp_path):
    data, dev = easy(tmp_path / "tr.tsv", 300, 1), easy(tmp_path / "dev.tsv", 90, 2)
    told = qing("train", "--data", data, "--dev", dev, "--out", tmp_path / "m").stderr
    assert re.search(r"qing: warning: macro-recall 0\.\d{4} on 90 dev texts is no better than guessing \(0\.3333\)", told), told
    assert "The training made 5 steps; try again with --epochs 30 --batch 16" in told
    told = qing("train", "--data", data, "--dev", dev, "--out", tmp_path / "n", "--epochs", 30, "--batch", 16).stderr
    assert "guessing" not in told


@pytest.mark.parametrize("kind, words", [("--ordinal", "quadratic weighted kappa"), ("--regression", "Pearson's correlation")])
def test_guesses_of_other_kinds_are_told(qing, tmp_path, kind, words):
    rows = [(str(i % 5), text) for i, (_, text) in enumerate(synthetic_rows(300, seed=3))]  # numbers without a meaning
    data, dev = write_tsv(tmp_path / "tr.tsv", rows), write_tsv(tmp_path / "dev.tsv", rows[:90][::-1])
    told = qing("train", "--data", data, "--dev", dev, "--out", tmp_path / "m", kind, 1, "--max-steps", 1, "--lr", 1e-12).stderr
    assert words in told and "on 90 dev texts is no better than guessing (0.0000)" in told, told


def test_labels_that_are_probably_one_are_told(qing, tmp_path):
    rows = [(label, f"{label} text {i}") for i, label in enumerate(["1", "1.0", "2", "NEG", "neg", "nan"] * 12)]
    data = write_tsv(tmp_path / "d.tsv", rows)
    seen = qing("data", data).stdout
    trained = qing(*small_training(data, tmp_path / "m", "--max-steps", 1)).stderr
    for words in ("the labels '1' (12 rows), '1.0' (12 rows) are the same number and are learned as 2 labels; join them with --map 1.0=1", "--map neg=NEG",
                  "the label 'nan' of 12 rows"):  # fmt: skip
        assert words in seen and words in trained, words
    joined = qing(*small_training(data, tmp_path / "n", "--max-steps", 1, "--map", "1.0=1", "--map", "neg=NEG"))
    assert "same number" not in joined.stderr and labels_of(tmp_path / "n") == ["1", "2", "NEG", "nan"]


def test_of_ordered_labels_equal_numbers_are_one(qing, tmp_path):
    rows = [(label, f"text {label[0]} {i}") for i, label in enumerate(["1", "1.0", "2.0", "3"] * 20)]
    data = write_tsv(tmp_path / "d.tsv", rows)
    dev = write_tsv(tmp_path / "dev.tsv", [("1.00", "text 1"), ("2", "text 2"), ("3.0", "text 3")])
    told = qing(*small_training(data, tmp_path / "m", "--dev", dev, "--ordinal", 1, "--max-steps", 1)).stderr
    assert "labels of the data: 1 (40), 2.0 (20), 3 (20)" in told and labels_of(tmp_path / "m") == ["1", "2.0", "3"]
    assert json.loads(qing("eval", "--model", tmp_path / "m", "--data", dev, "--json").stdout.splitlines()[-1])["examples"] == 3
    refused = qing(*small_training(data, tmp_path / "n", "--ordinal", 1, "--labels", "1,1.0,2,3"), check=False)
    assert refused.returncode == 2 and "must ascend" in refused.stderr


# --- the best model, and more epochs ---


@pytest.mark.parametrize("measure", ["accuracy", "macro_f1", "loss"])
def test_the_best_by_a_chosen_measure(qing, tiny_data, tmp_path, measure):
    out = tmp_path / "m"
    result = qing(*small_training(tiny_data, out, "--dev-share", 0.2, "--epochs", 5, "--lr", 0.03, "--eval-every", 5, "--best", measure))
    found = evaluations(out)
    assert all(line[measure] == pytest.approx(line["dev"][0][measure]) for line in found)
    best = (min if measure == "loss" else max)(found, key=lambda line: line[measure])
    assert best["best"] and not any(line["best"] for line in found if line["step"] > best["step"])
    assert f"{best[measure]:.4f} at step {best['step']}" in result.stderr
    assert f"from step {best['step']}." in (out / "README.md").read_text()
    assert "already finished" in qing("train", "--resume", "--out", out).stderr


def test_more_epochs_after_the_end(qing, tiny_data, tmp_path):
    out = tmp_path / "m"
    qing(*small_training(tiny_data, out, "--dev-share", 0.2, "--epochs", 2, "--lr", 3e-3))
    steps = record_of(out)["step"]
    result = qing("train", "--resume", "--out", out, "--epochs", 5, "--json")
    assert f"was finished after step {steps}; it goes on to 5 epochs" in result.stderr
    summary = json.loads(result.stdout.splitlines()[-1])
    assert summary["resumed_from"] == steps and summary["epochs"] == 5 and summary["steps"] == steps * 5 // 2
    assert [line["epoch"] for line in evaluations(out)] == [1, 2, 3, 4, 5]
    rates = [json.loads(line)["lr"] for line in (out / "run/metrics.jsonl").read_text().splitlines() if '"step", "step"' in line]
    # Down to 0 at the end of each, from the line of 5 epochs.
    assert rates[steps] > rates[steps - 1] and rates[-1] == min(rates[steps:])
    assert "already finished" in qing("train", "--resume", "--out", out).stderr
    refused = qing("train", "--resume", "--out", out, "--epochs", 9, "--lr", 1e-3, check=False)
    assert refused.returncode == 2 and "--lr is 0.001" in refused.stderr and "--epochs" not in refused.stderr.split("Give only")[0]


def test_a_killed_extension_begins_again(qing, tiny_data, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    qing(*small_training(tiny_data, whole, "--dev-share", 0.2, "--epochs", 1, "--lr", 3e-3))
    shutil.copytree(whole, killed)
    qing("train", "--resume", "--out", whole, "--epochs", 40)
    steps = record_of(killed)["step"]
    process = subprocess.Popen([qing.binary, "train", "--resume", "--out", str(killed), "--epochs", "40"], stderr=subprocess.DEVNULL)
    while f'"step": {steps + 1},' not in (killed / "run/metrics.jsonl").read_text() and process.poll() is None:
        time.sleep(0.001)
    process.kill()
    process.wait()
    qing("train", "--resume", "--out", killed)
    assert (whole / "model.safetensors").read_bytes() == (killed / "model.safetensors").read_bytes()


def test_a_search_replaces_no_training(qing, tiny_data, tmp_path):
    out = tmp_path / "m"
    qing(*small_training(tiny_data, out, "--dev-share", 0.2, "--epochs", 1))
    refused = qing("train", "--resume", "--out", out, "--epochs", 2, "--tune", 1, check=False)
    assert refused.returncode == 2 and "leave --tune or --resume out" in refused.stderr
    assert list((out / "run/checkpoints").iterdir())


def test_patience_says_what_it_did_and_more_epochs_reset_it(qing, tiny_data, tmp_path):
    out = tmp_path / "m"
    arguments = small_training(tiny_data, out, "--dev-share", 0.2, "--epochs", 6, "--lr", 1e-12, "--patience", 2)
    result = qing(*arguments)
    assert "stopped early after step" in result.stderr and "no better evaluation among the last 2; the best model, macro-recall" in result.stderr
    assert len(evaluations(out)) == 3
    result = qing("train", "--resume", "--out", out, "--epochs", 7, "--json")
    assert json.loads(result.stdout.splitlines()[-1])["early_stopped"] and len(evaluations(out)) == 5
