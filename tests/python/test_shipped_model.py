"""The model that comes with qing: its size, what it says, how good it is, and that commands find it."""

import json
import urllib.request

import pytest
from conftest import ROOT

MODEL = ROOT / "serve/models/emotion_analysis/1"


def test_it_is_small_and_has_its_papers():
    files = [path for path in MODEL.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 12_000_000
    card = (MODEL / "README.md").read_text(encoding="utf-8")
    for word in ["SHA-256", "macro", "en.dev.tsv", "zh.dev.tsv", "seed", "calibration"]:
        assert word in card, word
    assert "/work" not in card and "/root" not in card and "/home" not in card


SENTENCES = {
    "我非常喜欢这个电影": "positive",
    "这个产品真的很差": "negative",
    "The acting was superb and the story moved me to tears, what a wonderful evening.": "positive",
    "Terrible service, the food was cold and I will never come back.": "negative",
    "The committee meets on Tuesday in room four.": "neutral",
}


def test_commands_find_it_without_being_told(qing):
    lines = qing("predict", "--json", *SENTENCES).stdout.splitlines()
    assert [json.loads(line)["label"] for line in lines] == list(SENTENCES.values())
    assert qing("tokenize", "好").stdout == qing("tokenize", "--model", MODEL, "好").stdout


def test_explanations_add_up_with_its_ngrams(qing):
    for line in qing("explain", "--json", *SENTENCES).stdout.splitlines():
        one = json.loads(line)
        explanation = one.get("explanation", one)
        total = sum(span["weight"] for span in explanation["spans"])
        assert total == pytest.approx(explanation["score"] - explanation["baseline"], abs=2e-3)


def test_the_server_serves_it_without_being_told(serve):
    server = serve()
    request = urllib.request.Request(
        server.endpoint + "/v1/models/emotion_analysis/predict",
        json.dumps({"texts": list(SENTENCES)}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        predictions = json.load(response)["predictions"]
    assert [one["label"] for one in predictions] == list(SENTENCES.values())


@pytest.mark.parametrize("language, best_linear", [("en", 0.689), ("zh", 0.762)])
def test_it_beats_a_linear_model_on_dev(qing, data_dir, language, best_linear):
    """TF-IDF of words and characters with logistic regression reaches best_linear."""
    report = json.loads(qing("eval", "--data", data_dir / f"{language}.dev.tsv", "--json").stdout.splitlines()[-1])
    assert report["macro_recall"] > best_linear
