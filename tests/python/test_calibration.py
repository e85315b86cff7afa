"""Calibration: the number of texts behind a temperature is stated, and a dev set without errors does not make every score 1."""

import json
import re

import pytest
from conftest import synthetic_rows, write_tsv

WORDS = ["--lr", 2e-3, "--epochs", 12, "--batch", 16, "--layers", 1, "--width", 32, "--heads", 2, "--vocab", 400]


@pytest.fixture(scope="module")
def all_right(qing, tmp_path_factory):
    """A model without errors on its dev set, and the output of its training."""
    folder = tmp_path_factory.mktemp("calibration")
    data = write_tsv(folder / "train.tsv", synthetic_rows(400))
    dev = write_tsv(folder / "dev.tsv", synthetic_rows(60, seed=6))
    result = qing("train", *WORDS, "--data", data, "--dev", dev, "--out", folder / "m", "--json")
    assert "accuracy 1.0000" in result.stderr, "a dev set with errors proves nothing here"
    return folder / "m", result


def test_a_dev_set_without_errors_does_not_make_scores_of_one(qing, all_right):
    model, _ = all_right
    temperature = json.loads((model / "config.json").read_text())["calibration_temperature"]
    assert temperature > 0.3
    [line] = qing("predict", "--model", model, "--json", "zzz qqq").stdout.splitlines()
    assert max(json.loads(line)["scores"].values()) < 0.99


def test_the_output_and_the_card_state_the_texts_and_warn(all_right):
    model, result = all_right
    told = json.loads(result.stdout.splitlines()[-1])
    assert told["calibration_texts"] == 60
    temperature = f"{told['calibration_temperature']:.4g}"
    assert f"temperature {temperature}, fitted to 60 dev texts, 0 of them misclassified" in result.stderr
    warning = f"the temperature {temperature} is uncertain: only 0 of 60 dev texts are misclassified"
    assert f"qing: warning: {warning}" in result.stderr
    card = (model / "README.md").read_text()
    assert "It is fitted to 60 texts, of which the model misclassifies 0" in card
    assert f"**Warning:** {warning}" in card


def test_enough_texts_of_both_kinds_give_no_warning(qing, all_right, tmp_path):
    model, _ = all_right
    rows = synthetic_rows(60, seed=6)
    spoilt = [("neutral" if label == "positive" else "positive", text) for label, text in rows[:15]] + rows[15:]
    data = write_tsv(tmp_path / "train.tsv", synthetic_rows(400))
    dev = write_tsv(tmp_path / "dev.tsv", spoilt)
    result = qing("train", *WORDS, "--data", data, "--dev", dev, "--out", tmp_path / "m")
    found = re.search(r"fitted to 60 dev texts, (\d+) of them misclassified", result.stderr)
    assert int(found[1]) >= 10
    assert "is uncertain" not in result.stderr
    assert "**Warning:**" not in (tmp_path / "m/README.md").read_text()
