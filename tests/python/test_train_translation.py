"""`qing train --task translation`: from pairs of texts to a model that translates them, with its scores and its card."""

import json

import pytest

PAIRS = [
    ("Open the file.", "打开文件。"),
    ("Close the file.", "关闭文件。"),
    ("Save the image.", "保存图片。"),
    ("Delete the image.", "删除图片。"),
]
SMALL = ["--layers", 1, "--width", 32, "--vocab", 300, "--batch-tokens", 64, "--lr", 0.01, "--dropout", 0]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    file = tmp_path_factory.mktemp("pairs") / "pairs.tsv"
    file.write_text("en\tzh\n" + "".join(f"{en}\t{zh}\n" for en, zh in PAIRS), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def trained(qing, pairs):
    """A model that has learnt the pairs, and what its training said."""
    out = pairs.parent / "model"
    result = qing("train", "--task", "translation", "--data", pairs, "--dev", pairs, *SMALL, "--epochs", 60,
                  "--licence", "CC0-1.0", "--out", out, "--json")  # fmt: skip
    return out, json.loads(result.stdout)


def test_pairs_are_learnt(qing, trained):
    out, told = trained
    dev = told["dev"][0]
    assert dev["bleu"] == pytest.approx(100) and dev["chrf"] == pytest.approx(100) and dev["loss"] < 0.1
    lines = qing("predict", "--model", out, *[en for en, _ in PAIRS]).stdout.splitlines()
    assert lines == [zh for _, zh in PAIRS]
    assert json.loads((out / "config.json").read_text(encoding="utf-8"))["directions"] == ["en-zh"]


def test_card_has_scores_and_licences(trained):
    card = (trained[0] / "README.md").read_text(encoding="utf-8")
    assert "- CC0-1.0" in card and "pairs.tsv en-zh | 4 |" in card and "BLEU" in card
