"""The models that come with qing: their sizes, answers and accuracy, and that commands find them."""

import json
import pickle
import re
import sys
import urllib.request

import pytest
from conftest import ROOT, ask
from registry_files import fashion_mnist

sys.path.insert(0, str(ROOT / "serve/sdk/python"))

from maas_sdk import Emotion, MaaSClient  # noqa: E402

MODEL = ROOT / "serve/models/emotion_analysis/1"
FASHION = ROOT / "serve/models/fashion_mnist/1"
TRANSLATION = ROOT / "serve/models/translation/1"


def test_it_is_small_and_has_a_card():
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


LONG = "good and bad " * 60 + "\U0001f600 awful " * 200 + "terrible"


def test_a_text_longer_than_the_encoder_reads_is_explained_to_its_end(qing, serve):
    """The unread words count by their n-grams: each has its own weight and its own span."""
    one = json.loads(qing("explain", "--json", LONG).stdout)["explanation"]
    assert one["encoder_end"] < 600 and one["ngram_end"] == len(LONG)
    spans = one["spans"]
    for before, after in zip(spans, spans[1:]):
        assert before["end"] <= after["begin"]
    assert all(LONG[span["begin"] : span["end"]] == span["text"] for span in spans)
    unread = [span for span in spans if span["begin"] >= one["encoder_end"]]
    assert "".join(span["text"] for span in unread) == LONG[one["encoder_end"] :].replace(" ", "")
    assert max(len(span["text"]) for span in unread) <= len("terrible")
    assert sum(span["weight"] for span in spans) == pytest.approx(one["score"] - one["baseline"], abs=2e-3)
    strongest = max(spans, key=lambda span: abs(span["weight"]))
    assert strongest["text"] in ("good", "bad", "awful", "terrible", "\U0001f600")
    told = qing("explain", LONG).stdout
    assert f"the encoder read the first {one['encoder_end']} of {len(LONG)} characters" in told
    assert "the n-gram head used the whole text; the weights of the rest come from n-grams only" in told
    server = serve()
    model = MaaSClient(api_key="", endpoint=server.endpoint).get_model("emotion_analysis")
    emotion = model.predict(LONG, explain=True)
    assert emotion.truncated
    assert (emotion.explanation.encoder_end, emotion.explanation.ngram_end) == (one["encoder_end"], len(LONG))
    short = model.predict("good", explain=True).explanation
    assert (short.encoder_end, short.ngram_end) == (4, 4)
    with urllib.request.urlopen(server.endpoint + "/v1/models/emotion_analysis", timeout=10) as response:
        assert json.load(response)["ngrams"] is True


def test_the_example_of_the_documents_is_its_answer(qing):
    (block,) = re.findall(r"```json\n(\{\"label\".*?)```", (ROOT / "docs/api.md").read_text(encoding="utf-8"), re.DOTALL)
    shown = json.loads(block)
    told = json.loads(qing("explain", "--json", "I love this film").stdout)["explanation"]
    assert shown.keys() == told.keys() and len(shown["spans"]) == len(told["spans"])
    for key in ("label", "encoder_end", "ngram_end"):
        assert shown[key] == told[key]
    for key in ("score", "baseline"):
        assert shown[key] == pytest.approx(told[key], abs=1e-4)
    for one, other in zip(shown["spans"], told["spans"]):
        assert {**one, "weight": 0} == {**other, "weight": 0} and one["weight"] == pytest.approx(other["weight"], abs=1e-4)
    assert sum(span["weight"] for span in shown["spans"]) == pytest.approx(shown["score"] - shown["baseline"], abs=3e-4)


def test_a_text_of_blanks_is_answered_as_an_empty_one(serve):
    body = json.dumps({"texts": ["", " \u3000\u200b\n", "good"]}).encode()
    request = urllib.request.Request(
        serve().endpoint + "/v1/models/emotion_analysis/predict", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        empty, blank, word = json.load(response)["predictions"]
    assert blank == empty and blank["blank"] is True and "blank" not in word


def test_the_python_client_tells_which_texts_are_blank(serve):
    model = MaaSClient(api_key="", endpoint=serve().endpoint).get_model("emotion_analysis")
    emotions = model.predict([" \u3000\u200b\n", "good"])
    assert [emotion.blank for emotion in emotions] == [True, False]
    assert pickle.loads(pickle.dumps(emotions[0])).blank and not Emotion("positive").blank


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


@pytest.mark.parametrize("precision, named", [("bf16", "bfloat16"), ("int8", "int8")])
def test_it_answers_in_low_precision(qing, serve, precision, named):
    server = serve("--precision", precision)
    with urllib.request.urlopen(server.endpoint + "/info", timeout=10) as response:
        assert json.load(response)["model_dtype"] == named
    body = json.dumps({"texts": list(SENTENCES)}).encode()
    request = urllib.request.Request(server.endpoint + "/v1/models/emotion_analysis/predict", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as response:
        served = json.load(response)["predictions"]
    assert [one["label"] for one in served] == list(SENTENCES.values())
    lines = qing("predict", "--json", "--precision", precision, *SENTENCES).stdout.splitlines()
    full = qing("predict", "--json", *SENTENCES).stdout.splitlines()
    for one, line, exact in zip(served, map(json.loads, lines), map(json.loads, full)):
        assert one["scores"] == pytest.approx(line["scores"], abs=1e-7)
        assert line["scores"] != exact["scores"] and line["scores"] == pytest.approx(exact["scores"], abs=0.02)


def test_other_precisions_are_refused(qing):
    refused = qing("predict", "--precision", "fp4", "text", check=False)
    assert refused.returncode == 2 and "--precision" in refused.stderr and "int8" in refused.stderr


@pytest.mark.parametrize("language, best_linear", [("en", 0.691), ("zh", 0.766)])
def test_it_beats_a_linear_model_on_dev(qing, data_dir, language, best_linear):
    """TF-IDF of words and characters with logistic regression reaches best_linear."""
    data = data_dir / f"{language}.dev.tsv"
    reports = {precision: json.loads(qing("eval", "--data", data, "--precision", precision, "--json").stdout.splitlines()[-1])
               for precision in ("f32", "bf16", "int8")}  # fmt: skip
    assert reports["f32"]["macro_recall"] > best_linear
    for precision in ("bf16", "int8"):
        assert abs(reports[precision]["macro_recall"] - reports["f32"]["macro_recall"]) < 0.003
        assert reports[precision]["log_loss"] != reports["f32"]["log_loss"]


def test_the_translator_is_small_and_has_a_card():
    files = [path for folder in (TRANSLATION, FASHION) for path in folder.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 25_000_000
    card = (TRANSLATION / "README.md").read_text(encoding="utf-8")
    assert all(word in card for word in ("BLEU", "MPL-2.0", "Apache-2.0", "seed", "SHA-256", "en-zh", "zh-en"))
    assert "/work" not in card and "/root" not in card and "/home" not in card and "/tmp" not in card


SOFTWARE = {"Open the settings of the document.": "设置", "The file could not be saved.": "保存", "Delete the selected rows": "删除"}


def test_sentences_of_software_are_translated_without_naming_a_model(qing, serve):
    lines = qing("translate", "--to", "zh", *SOFTWARE).stdout.splitlines()
    assert len(lines) == len(SOFTWARE) and all(word in line for word, line in zip(SOFTWARE.values(), lines)), lines
    back = qing("translate", "--to", "en", "无法保存文件。").stdout.lower()
    assert "file" in back and "save" in back, back
    model = MaaSClient(api_key="", endpoint=serve().endpoint).get_model("translation")
    assert [str(one) for one in model.translate(list(SOFTWARE), target="zh")] == lines


def test_the_model_of_pictures_is_small_and_has_a_card():
    files = [path for path in FASHION.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 5_000_000
    card = (FASHION / "README.md").read_text(encoding="utf-8")
    assert all(word in card for word in ("accuracy", "MIT", "seed", "SHA-256", "trouser"))
    assert "/work" not in card and "/root" not in card and "/home" not in card and "/tmp" not in card


def test_a_drawing_is_named(qing):
    drawing = ROOT / "examples/pictures/trouser.png"
    assert qing("predict", "--model", FASHION, drawing).stdout.split("\t")[:2] == [str(drawing), "trouser"]


def test_the_pictures_of_the_test_set_have_the_accuracy_of_the_card(serve):
    images, labels = fashion_mnist("t10k")
    script = (ROOT / "examples/image_model.sh").read_text(encoding="utf-8")
    names = re.search(r"^names=\((.*)\)$", script, re.MULTILINE)[1].split()
    url, right, side = serve().endpoint, 0, 28
    for first in range(0, 10_000, 64):
        part = images[first * side * side : (first + 64) * side * side]
        shape = [len(part) // (side * side), side, side, 1]
        tensor = {"name": "image", "datatype": "UINT8", "shape": shape, "data": list(part)}
        answer = ask(f"{url}/v2/models/fashion_mnist/infer", {"inputs": [tensor]})[2]
        (found,) = [output["data"] for output in answer["outputs"] if output["name"] == "label"]
        right += sum(label == names[labels[first + i]] for i, label in enumerate(found))
    card = (FASHION / "README.md").read_text(encoding="utf-8")
    assert f"| {right / 100:.2f} " in card, right
