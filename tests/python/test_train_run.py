"""`qing train` as a run: its folder, resuming after a kill or Ctrl-C, early stop, wrong arguments."""

import json
import os
import random
import shutil
import signal
import subprocess
import time

import pytest
from conftest import small_training, synthetic_rows, write_tsv
from safetensors.numpy import load_file

MODEL_FILES = ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "vocab.txt"]


@pytest.fixture(scope="module")
def dev(tmp_path_factory):
    return write_tsv(tmp_path_factory.mktemp("dev") / "dev.tsv", synthetic_rows(90, seed=6))


def weights(folder):
    return (folder / "model.safetensors").read_bytes()


def metrics(out):
    return [json.loads(line) for line in (out / "run/metrics.jsonl").read_text().splitlines()]


def evaluations(out):
    return [line for line in metrics(out) if line["type"] == "evaluation"]


@pytest.fixture
def start(qing):
    """start(arguments) runs the command in the background. Processes that still run at the end are killed."""
    running = []

    def run(arguments):
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        running.append(subprocess.Popen([qing.binary, *map(str, arguments)], **pipes))
        return running[-1]

    yield run
    for process in running:
        process.kill()
        process.communicate()


def wait_for_step(out, step, process):
    """Waits until the metrics have the step."""
    path = out / "run/metrics.jsonl"
    while f'"step": {step},' not in (path.read_text() if path.exists() else ""):
        assert process.poll() is None, process.communicate()
        time.sleep(0.002)


# --- the folder ---


def test_the_folder_holds_the_run(qing, tiny_data, dev, tmp_path):
    out = tmp_path / "m"
    qing(*small_training(tiny_data, out, "--dev", dev, "--epochs", 2, "--lr", 5e-3))
    for folder in (out, out / "run/last"):
        assert sorted(path.name for path in folder.glob("*.*") if path.suffix != ".md") == MODEL_FILES
    assert [path.name for path in (out / "run/checkpoints").glob("step-*")] == ["step-000000000020"]
    record = json.loads((out / "run/run.json").read_text())
    assert record["state"] == "finished" and record["step"] == 20
    assert record["data"][0]["texts"] == 600 and sum(record["data"][0]["label_texts"]) == 600
    digest = subprocess.run(["sha256sum", tiny_data], capture_output=True, text=True, check=True).stdout.split()[0]
    assert record["data"][0]["sha256"] == digest

    steps = [line for line in metrics(out) if line["type"] == "step"]
    assert [line["step"] for line in steps] == list(range(1, 21))
    assert [line["epoch"] for line in steps] == [1] * 10 + [2] * 10
    assert set(steps[0]) == {"type", "step", "epoch", "loss", "lr", "grad_norm", "tokens_per_second"}
    assert all(line["tokens_per_second"] > 0 and line["grad_norm"] > 0 for line in steps)
    # Two warm-up steps to the peak, then down to 0.
    assert [steps[i]["lr"] for i in (0, 1, 19)] == pytest.approx([2.5e-3, 5e-3, 5e-3 / 18])
    assert [line["step"] for line in evaluations(out)] == [10, 20]


def test_without_dev_the_model_is_the_last(qing, tiny_data, tmp_path):
    qing(*small_training(tiny_data, tmp_path / "m", "--max-steps", 3))
    assert not (tmp_path / "m/run/last").exists()
    model = load_file(tmp_path / "m/model.safetensors")
    # A checkpoint has all trained parts. The encoder is one of them.
    checkpoint = load_file(tmp_path / "m/run/checkpoints/step-000000000003/model.safetensors")
    assert {"bert." + name: tensor.tolist() for name, tensor in model.items()} == {
        name: tensor.tolist() for name, tensor in checkpoint.items()
    }


def test_the_model_is_the_best_by_dev(qing, tiny_data, dev, tmp_path):
    out = tmp_path / "m"
    # A final learning rate that is too high makes the model worse.
    qing(*small_training(tiny_data, out, "--dev", dev, "--epochs", 6, "--lr", 0.03, "--eval-every", 5))
    found = evaluations(out)
    assert [line["step"] for line in found] == list(range(5, 61, 5))
    best = max(found, key=lambda line: line["macro_recall"])
    assert best["best"] and not found[-1]["best"], "choose other options: the last is the best"
    for folder, expected in ((out, best), (out / "run/last", found[-1])):
        scores = json.loads(qing("eval", "--model", folder, "--data", dev, "--json").stdout.splitlines()[-1])
        assert scores["macro_recall"] == expected["macro_recall"] == expected["dev"][0]["macro_recall"]
        assert scores["accuracy"] == expected["dev"][0]["accuracy"]


def test_early_stop(qing, tiny_data, dev, tmp_path):
    # Without learning every evaluation after the first is no better.
    arguments = small_training(tiny_data, tmp_path / "m", "--dev", dev, "--epochs", 9, "--lr", 1e-12, "--early-stop", 2)
    result = qing(*arguments, "--json")
    assert "stopped early after step 30" in result.stderr
    summary = json.loads(result.stdout.splitlines()[-1])
    assert summary["early_stopped"] and not summary["interrupted"] and summary["epochs"] == 3
    assert [line["best"] for line in evaluations(tmp_path / "m")] == [True, False, False]
    again = qing(*arguments, "--resume", "--json")
    assert "already finished" in again.stderr and json.loads(again.stdout.splitlines()[-1])["epochs"] == 3


def test_a_finished_run_is_replaced_and_another_folder_is_not(qing, tiny_data, dev, tmp_path):
    out = tmp_path / "m"
    qing(*small_training(tiny_data, out, "--dev", dev, "--max-steps", 4))
    qing(*small_training(tiny_data, out, "--max-steps", 2))
    assert len(metrics(out)) == 2 and not (out / "run/last").exists()
    assert sorted(path.name for path in out.iterdir() if path.suffix != ".md") == sorted([*MODEL_FILES, "run"])
    strange = tmp_path / "other/run"
    strange.mkdir(parents=True)
    (strange / "thesis.txt").write_text("years of work")
    result = qing(*small_training(tiny_data, tmp_path / "other", "--overwrite"), check=False)
    assert result.returncode == 2 and "not a folder of qing train" in result.stderr
    assert [path.name for path in strange.iterdir()] == ["thesis.txt"]


# --- the same bits after any number of stops ---


def test_same_weights_for_any_number_of_threads(qing, tiny_data, dev, tmp_path):
    found = set()
    for threads, given in ((1, "environment"), (2, "environment"), (4, "environment"), (3, "option")):
        out = tmp_path / str(threads)
        more = ["--threads", threads] if given == "option" else []
        environment = {**os.environ, "QING_THREADS": str(threads if given == "environment" else 1)}
        qing(*small_training(tiny_data, out, "--dev", dev, "--max-steps", 15, *more), env=environment)
        found.add((weights(out), weights(out / "run/last")))
    assert len(found) == 1


def test_repeated_kills_end_with_the_same_bits(qing, start, tiny_data, dev, tmp_path):
    # So many steps that no machine finishes them between two checks.
    options = ["--dev", dev, "--epochs", 60, "--lr", 5e-3, "--eval-every", 70, "--checkpoint-every", 4]
    qing(*small_training(tiny_data, tmp_path / "whole", *options))
    out = tmp_path / "m"
    rng = random.Random(20261125)
    reached = 0

    def checkpoint():
        return max([int(path.name[5:]) for path in (out / "run/checkpoints").glob("step-*")], default=0)

    for i in range(12):
        process = start(small_training(tiny_data, out, *options, "--resume", "--threads", 1 + i % 2))
        if i % 3 == 0:  # at any moment, also before the first step
            time.sleep(rng.uniform(0, 0.15))
        else:
            while checkpoint() <= reached:
                assert process.poll() is None, process.communicate()
            time.sleep(rng.uniform(0, 0.02))
        assert process.poll() is None
        process.kill()
        process.communicate()
        assert checkpoint() >= reached, "a checkpoint went before the next was there"
        reached = checkpoint()
    assert reached > 20
    last = qing("train", "--resume", "--out", out, "--json")
    assert json.loads(last.stdout.splitlines()[-1])["resumed_from"] == reached
    assert weights(out) == weights(tmp_path / "whole")
    assert weights(out / "run/last") == weights(tmp_path / "whole/run/last")
    assert not [path for path in out.rglob(".*") if path.name != ".lock"], "rests of killed processes"

    def told(folder):
        lines = metrics(folder)
        for line in lines:
            line.pop("tokens_per_second", None)
        return lines

    assert told(out) == told(tmp_path / "whole")


def test_ctrl_c_saves_and_resumes(qing, start, tiny_data, dev, tmp_path):
    options = ["--dev", dev, "--epochs", 6, "--batch", 8]
    qing(*small_training(tiny_data, tmp_path / "whole", *options))
    out = tmp_path / "m"
    process = start(small_training(tiny_data, out, *options, "--json"))
    wait_for_step(out, 20, process)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "stopping: the checkpoint and the model will be written" in stderr
    assert f"qing train --resume --out {out}" in stderr
    summary = json.loads(stdout.splitlines()[-1])
    assert summary["interrupted"] is True
    assert json.loads((out / "run/run.json").read_text())["state"] == "interrupted"
    qing("predict", "--model", out, "good")

    refused = qing(*small_training(tiny_data, out, *options), check=False)
    assert refused.returncode == 2 and f"stopped after step {summary['steps']}" in refused.stderr
    assert "--resume" in refused.stderr and "--overwrite" in refused.stderr

    moved = tmp_path / "moved"
    shutil.move(out, moved)
    result = qing("train", "--resume", "--out", moved, "--json")
    assert f"resuming after step {summary['steps']}" in result.stderr
    assert weights(moved) == weights(tmp_path / "whole")
    assert weights(moved / "run/last") == weights(tmp_path / "whole/run/last")


def test_the_second_ctrl_c_kills(start, tmp_path, tiny_data):
    out = tmp_path / "m"
    # A step takes seconds, so there is time for both signals.
    process = start(["train", "--data", tiny_data, "--width", 1024, "--layers", 4, "--batch", 600, "--out", out])
    while "training on" not in process.stderr.readline():
        pass
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    while "Ctrl-C again stops" not in process.stderr.readline():
        pass
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == -signal.SIGTERM


def test_two_processes_cannot_train_into_one_folder(qing, start, tiny_data, tmp_path):
    out = tmp_path / "m"
    wait_for_step(out, 1, start(small_training(tiny_data, out, "--epochs", 10000)))
    for more in ([], ["--overwrite"], ["--resume"]):
        result = qing(*small_training(tiny_data, out, "--epochs", 10000, *more), check=False)
        assert result.returncode == 1 and "another process trains into this folder" in result.stderr


# --- disks ---


def test_a_disk_that_fills_up_leaves_a_run_to_resume(qing, start, tiny_data, small_disk, tmp_path):
    out = small_disk / "m"
    options = ["--epochs", 20, "--checkpoint-every", 10]
    qing(*small_training(tiny_data, tmp_path / "whole", *options))
    process = start(small_training(tiny_data, out, *options))
    wait_for_step(out, 12, process)
    with pytest.raises(OSError, match="No space"), open(small_disk / "fill", "wb") as file:
        while True:
            file.write(b"x" * 4096)
            file.flush()
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 1 and "No space left on device" in stderr
    for line in (out / "run/metrics.jsonl").read_text().splitlines():
        json.loads(line)
    (small_disk / "fill").unlink()
    qing("train", "--resume", "--out", out)
    assert weights(out) == weights(tmp_path / "whole")


def test_a_folder_that_cannot_be_written_is_named(qing, tiny_data, tmp_path):
    (tmp_path / "file").write_text("x")
    result = qing(*small_training(tiny_data, tmp_path / "file/m"), check=False)
    assert result.returncode == 1 and str(tmp_path / "file") in result.stderr


# --- configuration files ---


def test_the_written_configuration_repeats_the_training(qing, tmp_path, tiny_data, dev):
    odd = tmp_path / "it's #1, a [strange] 文件.tsv"
    odd.write_bytes(tiny_data.read_bytes())
    first, second = tmp_path / "first", tmp_path / "second"
    given = ["--data", tiny_data, "--data", odd, "--dev", dev, "--lr", "3e-3", "--labels", "positive,negative,neutral"]
    qing("train", *given, "--layers", 1, "--width", 64, "--heads", 4, "--max-steps", 6, "--out", first)
    qing("train", "--config", first / "run/config.toml", "--out", second)
    assert weights(first) == weights(second)
    assert json.loads((second / "config.json").read_text())["id2label"]["0"] == "positive"
    same = [(folder / "run/config.toml").read_text().replace(str(folder), "") for folder in (first, second)]
    assert same[0] == same[1]
    tomllib = pytest.importorskip("tomllib")
    options = tomllib.loads((first / "run/config.toml").read_text())
    assert options["data"] == [str(tiny_data), str(odd)] and options["lr"] == 3e-3 and options["heads"] == 4
    assert options["labels"] == ["positive", "negative", "neutral"] and options["clip"] == 1


def test_the_line_goes_before_the_file(qing, tmp_path, tiny_data):
    config = tmp_path / "c.toml"
    config.write_text(f"# a comment\n[train]\ndata = ['{tiny_data}']  # another\nwidth=32\nlayers = 3\nmax-steps = 2\n")
    qing("train", "--config", config, "--layers", 1, "--out", tmp_path / "m")
    found = json.loads((tmp_path / "m/config.json").read_text())
    assert found["num_hidden_layers"] == 1 and found["hidden_size"] == 32


@pytest.mark.parametrize(
    "content, message",
    [
        ("layer = 2", "1: layer: no such key"),
        ("layers = many", "1: "),
        ("layers = 0", "1: layers: "),
        ("layers = 1\nwidth = 64\nlayers = 2", "3: "),
        ("layers = 1\n[train]\nlayers = 2", "3: train.layers: appears twice"),
        ("layers = [1, 2]", "1: layers: takes one value"),
        ("resume = true", "1: resume: no such key"),
        ("[serve]\nport = 1", "2: serve.port: no such key"),
        ("lr = nan", "1: lr: "),
    ],
)
def test_a_wrong_configuration_is_named(qing, tmp_path, tiny_data, content, message):
    config = tmp_path / "wrong.toml"
    config.write_text(content + "\n")
    result = qing("train", "--config", config, "--data", tiny_data, "--out", tmp_path / "m", check=False)
    assert result.returncode == 2
    assert f"{config}:{message}" in result.stderr
    assert not (tmp_path / "m").exists()


# --- wrong arguments ---


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--dev-share", 0, "--early-stop", 2], "--early-stop needs --dev"),
        (["--dev-share", 0, "--eval-every", 5], "--eval-every needs --dev"),
        (["--dev-share", 0, "--tune", 1], "--tune needs --dev"),
        (["--dev-share", 1], "--dev-share"),
        (["--best", "luck"], "--best"),
        (["--map", "1,2"], "--map: '1,2' has no '='"),
        (["--early-stop", -1], "--early-stop"),
        (["--checkpoint-every", "often"], "--checkpoint-every"),
        (["--labels", "good"], "--labels: give at least two"),
        (["--labels", "good,good"], "--labels: 'good' is the name of labels 0 and 1"),
        (["--resume", "--overwrite"], "give one of them"),
        (["--threads", -1], "--threads"),
        (["--width", 100], "not a multiple of 32"),
        (["--sead", 3], "--sead"),
    ],
)
def test_wrong_arguments_are_named(qing, tmp_path, tiny_data, arguments, message):
    result = qing("train", "--data", tiny_data, "--out", tmp_path / "m", *arguments, check=False)
    assert result.returncode == 2
    assert result.stderr.startswith("qing: error:") and message in result.stderr
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("given, missing", [(["--out", "m"], "--data"), (["--data", "x.tsv"], "--out")])
def test_what_is_missing_is_named(qing, tmp_path, given, missing):
    result = qing("train", *given, check=False, cwd=tmp_path)
    assert result.returncode == 2 and f"{missing} is missing" in result.stderr


def test_a_missing_configuration_is_named(qing, tmp_path):
    result = qing("train", "--config", tmp_path / "none.toml", "--out", tmp_path / "m", check=False)
    assert result.returncode == 1 and str(tmp_path / "none.toml") in result.stderr


def test_resuming_another_training_is_refused(qing, tiny_data, dev, tmp_path):
    out = tmp_path / "m"
    qing(*small_training(tiny_data, out, "--dev", dev, "--max-steps", 2, "--lr", "5e-4"))
    other = write_tsv(tmp_path / "other.tsv", synthetic_rows(40, seed=1))

    def refusal(*arguments):
        before = (out / "run/run.json").read_bytes()
        result = qing(*arguments, "--resume", check=False)
        assert result.returncode == 2 and (out / "run/run.json").read_bytes() == before
        return result.stderr

    assert "--width is 64, was 32" in refusal("train", "--out", out, "--width", 64)
    assert "--max-steps is 1, was 2" in refusal("train", "--out", out, "--max-steps", 1)
    assert "--seed is 1, was 42" in refusal(*small_training(tiny_data, out, "--seed", 1))
    assert f"--data {other} has other bytes" in refusal("train", "--out", out, "--data", other)
    assert f"--dev {other} has other bytes" in refusal("train", "--out", out, "--dev", other)
    assert "--dev is given 2 times, was 1" in refusal("train", "--out", out, "--dev", dev, "--dev", other)
    # Another spelling or another path of the same options and data is accepted.
    copy = tmp_path / "copy.tsv"
    copy.write_bytes(tiny_data.read_bytes())
    qing("train", "--out", out, "--data", copy, "--lr", "0.0005", "--threads", 1, "--resume")
    (out / "run/run.json").write_text("{}")
    assert "lacks a field" in qing("train", "--out", out, "--resume", check=False).stderr


def test_fine_tuning_in_place_is_refused(qing, tiny_data, model_dir):
    result = qing("train", "--data", tiny_data, "--from", model_dir, "--out", model_dir, check=False)
    assert result.returncode == 2 and "--from is the folder of --out" in result.stderr
