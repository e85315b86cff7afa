"""examples/image_model.sh and examples/translation_model.sh from data to a model, with small made data in place of the packages."""

import json
import os
import re
import signal
import subprocess
import time

import pytest
from conftest import ROOT
from test_image_serving import squares, write_idx
from test_train_translation import PAIRS

SMALL = ["--widths", "8,16", "--batch", "32", "--crop-padding", "1", "--flip", "0"]


def run(script, qing, *arguments, timeout=300):
    return subprocess.run(["bash", ROOT / "examples" / script, *map(str, arguments)], capture_output=True, text=True,
                          env=os.environ | {"QING_BINARY": str(qing.binary)}, timeout=timeout)  # fmt: skip


def lines_of(folder, kind):
    lines = map(json.loads, (folder / "run/metrics.jsonl").read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line["type"] == kind]


@pytest.fixture
def pictures(tmp_path):
    """OUT with pictures where the package would have been unpacked."""
    data = tmp_path / "out/data/usr/share/datasets/fashion-mnist"
    data.mkdir(parents=True)
    for part, count, seed in (("train", 400, 1), ("t10k", 100, 2)):
        images, labels = squares(count, seed)
        write_idx(data / f"{part}-images-idx3-ubyte.gz", images)
        write_idx(data / f"{part}-labels-idx1-ubyte.gz", labels)
    return tmp_path / "out"


def test_settings_of_pictures_are_chosen_without_the_test_pictures(qing, pictures):
    done = run("image_model.sh", qing, pictures, *SMALL, "--epochs=6", "--lr", "0.05")
    assert done.returncode == 0, done.stderr
    chosen = json.loads((pictures / "chosen.json").read_text())
    trials = [folder for folder in (pictures / "trials").iterdir()]
    # --lr is given, so that the setting which differs in it alone is not tried.
    assert len(trials) == len(chosen["trials"]) == 3 and done.stdout.count("== trial") == 3
    for folder in trials:
        record = (folder / "run/config.toml").read_text(encoding="utf-8")
        assert "t10k" not in record and "dev-share = 0.1" in record and "lr = 0.05" in record
        evaluations = lines_of(folder, "evaluation")
        assert [line["dev"][0]["name"] for line in evaluations] == ["held out"] * 2, "a quarter of the epochs, rounded up"
        score = max(line["dev"][0]["accuracy"] for line in evaluations)
        setting = (folder / "setting").read_text().strip()
        assert next(t for t in chosen["trials"] if t["setting"] == setting)["held_out_accuracy"] == score
    scores = [trial["held_out_accuracy"] for trial in chosen["trials"]]
    assert scores == sorted(scores, reverse=True) and chosen["setting"] == chosen["trials"][0]["setting"]

    model = pictures / "models/fashion_mnist/1"
    record = (model / "run/config.toml").read_text(encoding="utf-8")
    for name, value in re.findall(r"--(\S+) (\S+)", chosen["setting"].replace("--lr 0.1", "")):
        assert f"{name} = {value}" in record
    (evaluation,) = lines_of(model, "evaluation")
    assert evaluation["epoch"] == 6 and evaluation["dev"][0]["accuracy"] > 0.9, "the test pictures are scored once"
    assert "400 images" in done.stdout + done.stderr, "the model learns all training pictures"
    assert "T-shirt" in (model / "config.json").read_text() and "t10k" in (model / "README.md").read_text(encoding="utf-8")

    before = (model / "model.safetensors").read_bytes()
    again = run("image_model.sh", qing, pictures, *SMALL, "--epochs=6", "--lr", "0.05")
    assert again.returncode == 0 and f"reusing {model}" in again.stdout and "== trial" not in again.stdout
    assert (model / "model.safetensors").read_bytes() == before


def test_an_interrupted_script_goes_on(qing, pictures):
    """With the choice and the weights of one that was not interrupted."""
    options = [*SMALL, "--epochs", "8", "--erase", "0", "--mixup", "0", "--threads", "1"]
    process = subprocess.Popen(["bash", ROOT / "examples/image_model.sh", pictures, *options], start_new_session=True,
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                               env=os.environ | {"QING_BINARY": str(qing.binary)})  # fmt: skip
    metrics = pictures / "models/fashion_mnist/1/run/metrics.jsonl"
    until = time.monotonic() + 120
    while time.monotonic() < until and not (metrics.exists() and metrics.read_bytes().count(b"\n") > 3):
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C does
    assert process.wait(60) == 130 and "the same command continues" in process.stderr.read()
    chosen = (pictures / "chosen.json").read_bytes()
    done = run("image_model.sh", qing, pictures, *options)
    assert done.returncode == 0, done.stderr
    assert (pictures / "chosen.json").read_bytes() == chosen
    assert lines_of(pictures / "models/fashion_mnist/1", "evaluation")[-1]["dev"][0]["accuracy"] > 0.9


@pytest.mark.parametrize(("arguments", "why"), [
    ([], "give the folder OUT"),
    (["--epochs", "4"], "give the folder OUT"),
    (["OUT", "epochs", "4"], "'epochs' is no option"),
    (["OUT", "--epochs"], "--epochs has no value"),
    (["OUT", "--epochs", "--lr", "1"], "--epochs has no value"),
    (["OUT", "--epochs", "many"], "--epochs many is no number of epochs"),
])  # fmt: skip
def test_wrong_arguments_are_named(qing, pictures, arguments, why):
    done = run("image_model.sh", qing, *[pictures if each == "OUT" else each for each in arguments])
    assert done.returncode == 2 and why in done.stderr
    assert not (pictures / "trials").exists() and not (pictures / "models").exists()


def test_pairs_become_a_translation_model(qing, tmp_path):
    data = tmp_path / "out/data"
    data.mkdir(parents=True)
    rows = "".join(f"made\td{i}\t{en}\t{zh}\n" for i, (en, zh) in enumerate(PAIRS))
    for part in ("train", "dev"):
        (data / f"{part}.tsv").write_text("source\tdocument\ten\tzh\n" + rows, encoding="utf-8")
    (data / "summary.json").write_text("{}")
    options = ["--layers", 1, "--decoder-layers", "1", "--width=32", "--vocab", 300, "--batch-tokens", 64, "--epochs", 2]
    done = run("translation_model.sh", qing, tmp_path / "out", *options)
    assert done.returncode == 0, done.stderr
    model = tmp_path / "out/model"
    record = (model / "run/config.toml").read_text(encoding="utf-8")
    assert "width = 32" in record and "epochs = 2" in record and "label-smoothing = 0.1" in record
    assert json.loads((model / "config.json").read_text(encoding="utf-8"))["directions"] == ["en-zh", "zh-en"]
    card = (model / "README.md").read_text(encoding="utf-8")
    assert "MPL-2.0 (LibreOffice)" in card and "Apache-2.0 (Home Assistant)" in card
    assert len(done.stdout.splitlines()) >= 2, "two translations are shown"
    again = run("translation_model.sh", qing, tmp_path / "out", *options)
    assert again.returncode == 0 and f"reusing {model}" in again.stdout


def test_help_is_the_head_of_the_script(qing):
    for script in ("image_model.sh", "translation_model.sh"):
        done = run(script, qing, "--help")
        assert done.returncode == 0 and f"bash examples/{script} OUT" in done.stdout and "set -e" not in done.stdout
        assert not done.stdout.startswith("#") and len(done.stdout.splitlines()) > 4
