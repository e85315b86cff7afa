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


def test_pairs_that_are_too_long_are_reported(qing, pairs, tmp_path):
    long = " ".join(str(i) for i in range(300))
    head, rest = "en\tzh\n", "".join(f"{en}\t{zh}\n" for en, zh in PAIRS)
    (tmp_path / "data.tsv").write_text(head + rest + f"{long}\t文件\n", encoding="utf-8")
    (tmp_path / "dev.tsv").write_text(head + f"Open the image.\t打开图片。\n文件\t{long}\n", encoding="utf-8")
    (tmp_path / "none.tsv").write_text(head + f"{long}\t打开图片。\n", encoding="utf-8")
    command = ["train", "--task", "translation", "--data", tmp_path / "data.tsv", *SMALL, "--max-length", 32, "--epochs", 1]
    result = qing(*command, "--dev", tmp_path / "dev.tsv", "--out", tmp_path / "m", "--json")
    assert "1 of 5 pairs were left out, because a text has more than 32 tokens" in result.stderr
    assert json.loads(result.stdout)["dev"][0]["too_long"] == 1 and "1 pair too long for the loss" in result.stderr
    result = qing(*command, "--dev", tmp_path / "none.tsv", "--out", tmp_path / "n", check=False)
    assert result.returncode == 1
    assert "none.tsv en-zh: all 1 pairs have a text of more than 32 tokens" in result.stderr, result.stderr


def test_translate_prints_a_line_for_each_text(qing, trained, tmp_path):
    out, _ = trained
    lines = qing("translate", "--model", out, *[en for en, _ in PAIRS]).stdout.splitlines()
    assert lines == [zh for _, zh in PAIRS]
    file = tmp_path / "texts.txt"
    file.write_text("".join(en + "\n" for en, _ in PAIRS), encoding="utf-8")
    assert qing("translate", "--model", out, "--file", file, "--beam", 1).stdout.splitlines() == lines
    told = json.loads(qing("translate", "--model", out, "--to", "zh", "--json", PAIRS[0][0]).stdout)
    assert told["text"] == PAIRS[0][0] and told["translation"] == PAIRS[0][1] and told["complete"]
    cut = json.loads(qing("translate", "--model", out, "--max-tokens", 2, "--json", PAIRS[0][0]).stdout)
    assert cut["tokens"] == 2 and not cut["complete"]


def test_a_model_of_two_directions_has_to_be_told_one(qing, pairs):
    out = pairs.parent / "both"
    qing("train", "--task", "translation", "--data", pairs, "--dev-share", 0, "--directions", "en-zh,zh-en", *SMALL,
         "--epochs", 60, "--out", out)  # fmt: skip
    assert qing("translate", "--model", out, "--to", "zh", PAIRS[0][0]).stdout.splitlines() == [PAIRS[0][1]]
    assert qing("translate", "--model", out, "--to", "en", PAIRS[0][1]).stdout.splitlines() == [PAIRS[0][0]]
    refused = qing("translate", "--model", out, PAIRS[0][0], check=False)
    assert refused.returncode == 1 and "en-zh" in refused.stderr and "zh-en" in refused.stderr


def test_translate_names_what_it_needs(qing, trained, tmp_path):
    without = qing("translate", "a text", check=False)  # the shipped model has two directions
    assert without.returncode == 1 and "en-zh" in without.stderr and "zh-en" in without.stderr
    (tmp_path / "config.json").write_text('{"task": "tagging"}', encoding="utf-8")
    other = qing("translate", "--model", tmp_path, "a text", check=False)
    assert other.returncode == 1 and "tagging" in other.stderr
    range_ = qing("translate", "--model", trained[0], "--beam", 0, "a text", check=False)
    assert range_.returncode == 2 and "--beam" in range_.stderr
