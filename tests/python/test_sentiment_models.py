"""examples/sentiment_models.sh makes the small model and its teachers, here from a few rows, and makes nothing twice."""

import os
import subprocess

import pytest
from conftest import ROOT, synthetic_rows, write_tsv
from registry_files import bge_small_zh_model, bge_small_zh_tokenizer, minilm_folder

SCRIPT = ROOT / "examples/sentiment_models.sh"


def build(qing, *arguments, **options):
    environment = {**os.environ, "QING_BINARY": qing.binary}
    return subprocess.run(["bash", SCRIPT, *map(str, arguments)], capture_output=True, text=True, timeout=300, env=environment,
                          check=False, **options)  # fmt: skip


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    rows = synthetic_rows(240, seed=8)
    english, chinese = ([row for row in rows if row[1].isascii() == ascii_] for ascii_ in (True, False))
    for name, some in {"en.train": english[:40], "zh.train": chinese[:40], "en.phrases.train": english[40:60], "en.dev": english[60:80],
                       "zh.two-class.train": [row for row in chinese[40:70] if row[0] != "neutral"], "zh.dev": chinese[70:90]}.items():
        write_tsv(folder / f"{name}.tsv", some)
    return folder


def test_the_small_model_from_a_few_rows(qing, data, tmp_path):
    minilm_folder(), bge_small_zh_model(), bge_small_zh_tokenizer()  # skips where a registry is away
    out = tmp_path / "out"
    (out / "public").mkdir(parents=True)
    sources = [("positive", "reviews", "质量很好"), ("negative", "tweets", "what a dull day"), ("neutral", "news", "a stand in a hall")]
    (out / "public/train.tsv").write_text("label\tsource\ttext\n" + "".join("\t".join(row) + "\n" for row in sources))
    first = build(qing, "small", data, out)
    assert first.returncode == 0, first.stderr[-2000:]
    assert [(out / f"public/{language}.txt").read_text() for language in ("en", "zh")] == [
        "what a dull day\na stand in a hall\n", "质量很好\n"]  # fmt: skip
    card = (out / "emotion_analysis/1/README.md").read_text(encoding="utf-8")
    for teacher in ("| minilm | Bert, 6 layers of width 384 |", "| bge | Bert, 4 layers of width 512 |", "| plain | Bert, 2 layers"):
        assert teacher in card
    assert "| zh.txt | training by teachers, without labels | 1 |" in card
    assert len(qing("predict", "--model", out / "emotion_analysis/1", "good").stdout.split("\t")) == 3
    again = build(qing, "small", data, out)
    assert again.returncode == 0 and again.stdout.count("reusing ") == 4 and "step" not in again.stderr


def test_wrong_arguments(qing, data, tmp_path):
    assert build(qing, "--help").stdout.startswith("Builds the sentiment models")
    for arguments in ([], ["medium", data, tmp_path], ["small", data]):
        assert build(qing, *arguments).returncode == 2
    (data / "zh.dev.tsv").unlink()
    missing = build(qing, "small", data, tmp_path / "out")
    assert missing.returncode == 1 and f"{data}/zh.dev.tsv does not exist or is empty" in missing.stderr
