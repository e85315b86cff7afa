"""`qing train --task tagging`, the taggers that it writes, and how they are served."""

import concurrent.futures
import json
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy
import pytest
import safetensors.numpy as safetensors_numpy
from conftest import ROOT
from conftest import ask as ask_url
from conftest import served
from tagged_sentences import HELD, sentences, write_conll

sys.path.insert(0, str(ROOT / "serve/sdk/python"))
from maas_sdk import MaaSClient, WrongTaskError

SMALL = ["--layers", 1, "--width", 32, "--vocab", 500, "--max-length", 32]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tagged")
    return {
        "train": write_conll(folder / "train.conll", sentences(800)),
        "held": write_conll(folder / "held.conll", sentences(150, HELD, seed=9)),
        "folder": folder,
    }


@pytest.fixture(scope="module")
def tagger(qing, files):
    """A tagger and what its training said."""
    out = files["folder"] / "root/names/1"
    result = qing("train", "--task", "tagging", "--data", files["train"], "--dev", files["held"], *SMALL, "--epochs", 8,
                  "--lr", 3e-3, "--out", out, "--json")  # fmt: skip
    return out, result


def test_sentences_of_other_templates_are_tagged(tagger):
    out, result = tagger
    told = json.loads(result.stdout)
    assert told["dev"][0]["f1"] > 0.97 and told["dev"][0]["f1_PER"] > 0.9
    assert told["tokens_per_second"] > 0 and told["best_step"] > 0
    assert "held.conll: F1 " in result.stderr and "the best model, F1 " in result.stderr
    config = json.loads((out / "config.json").read_text(encoding="utf-8"))
    assert config["task"] == "tagging" and config["architectures"] == ["BertForTokenClassification"]
    lines = [json.loads(line) for line in (out / "run/metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    evaluation = next(line for line in lines if line["type"] == "evaluation")
    assert set(evaluation["dev"][0]) >= {"name", "f1", "precision", "recall", "accuracy"}
    assert 'task = "tagging"' in (out / "run/config.toml").read_text(encoding="utf-8")
    card = (out / "README.md").read_text(encoding="utf-8")
    assert "pipeline_tag: token-classification" in card and "| held.conll |" in card and "--task tagging" in card
    assert (out / "run/loss.svg").read_text(encoding="utf-8").startswith("<svg")


def test_predict_prints_entities(qing, tagger):
    text = "Greta Weber works for Nordwind in Hong Kong."
    lines = qing("predict", "--model", tagger[0], text).stdout.splitlines()
    assert lines[0] == text
    assert [line.split("\t")[1::2] for line in lines[1:]] == [
        ["PER", "Greta Weber"], ["ORG", "Nordwind"], ["LOC", "Hong Kong"],
    ]  # fmt: skip
    found = json.loads(qing("predict", "--json", "--model", tagger[0], "你好 " + text).stdout)["entities"]
    assert [entity["text"] for entity in found] == ["Greta Weber", "Nordwind", "Hong Kong"]
    assert all(("你好 " + text)[entity["begin"] : entity["end"]] == entity["text"] for entity in found)


def test_an_error_names_the_line(qing, tagger):
    lines = [b"Greta Weber works\n"] * 150
    lines[130] = b"\xff\n"
    command = [str(qing.binary), "predict", "--model", str(tagger[0])]
    result = subprocess.run(command, input=b"".join(lines), capture_output=True, timeout=300)
    assert result.returncode == 1 and b"stdin:131: " in result.stderr and b"text 2" not in result.stderr, result.stderr


def test_transformers_gives_equal_logits(qing, tagger, files):
    """The entities follow from the logits of AutoModelForTokenClassification: at the first token of each word."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    from test_encoder_families import outputs

    tokenizer = transformers.AutoTokenizer.from_pretrained(tagger[0])
    model, report = transformers.AutoModelForTokenClassification.from_pretrained(tagger[0], output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"]
    assert model.config.id2label[0] == "O" and "B-PER" in model.config.label2id
    texts = [" ".join(words) for words, _ in sentences(40, HELD, seed=5)]
    ids = [tokenizer(text)["input_ids"] for text in texts]
    ours = outputs("tokens", tagger[0], [torch.tensor(row) for row in ids], files["folder"])
    with torch.no_grad():
        theirs = torch.cat([model.eval()(torch.tensor([row])).logits[0] for row in ids])
    assert theirs.std() > 0.1
    assert float((theirs - ours).abs().max()) < 1e-5


def test_a_stopped_training_goes_on_without_its_options(qing, files, tmp_path):
    """--resume alone finds the task and the options in the folder, and the weights are those of a training in one go."""
    arguments = ["train", "--task", "tagging", "--data", files["train"], *SMALL, "--epochs", 20, "--dev-share", 0]
    qing(*arguments, "--out", tmp_path / "whole")
    parts, metrics = tmp_path / "parts", tmp_path / "parts/run/metrics.jsonl"
    process = subprocess.Popen([qing.binary, *map(str, arguments), "--out", parts], stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while time.monotonic() < until and not (metrics.exists() and metrics.read_bytes().count(b"\n") > 3):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0
    assert json.loads((parts / "run/run.json").read_text(encoding="utf-8"))["state"] == "interrupted"
    resumed = qing("train", "--resume", "--out", parts)
    assert "resuming after step" in resumed.stderr
    assert (parts / "model.safetensors").read_bytes() == (tmp_path / "whole/model.safetensors").read_bytes()


def test_the_data_say_which_scheme(qing, tmp_path):
    rows = sentences(300, scheme="bioes")
    lines = "".join(json.dumps({"tokens": words, "tags": tags}) + "\n" for words, tags in rows)
    (tmp_path / "train.jsonl").write_text(lines, encoding="utf-8")
    result = qing("train", "--task", "tagging", "--data", tmp_path / "train.jsonl", *SMALL, "--epochs", 1, "--out",
                  tmp_path / "m")  # fmt: skip
    labels = json.loads((tmp_path / "m/config.json").read_text(encoding="utf-8"))["id2label"].values()
    assert {"O", "B-PER", "I-PER", "E-PER", "S-PER"} <= set(labels)
    assert "held out by a hash of the sentence" in result.stderr


@pytest.mark.parametrize(("content", "why"), [
    ("EU B-ORG\nrejects\n", ":2: has a word without a tag"),
    ("EU NOUN\n", ":1: the tag 'NOUN' is neither O nor"),
    ("a O\n\nEU B-ORG\nrejects VERB\n", ":4: the tag 'VERB' is neither O nor"),
    ("EU O\n", "no sentence has an entity"),
    ("\n", "has no sentences"),
])  # fmt: skip
def test_bad_data_are_refused(qing, content, why, tmp_path):
    (tmp_path / "bad.conll").write_text(content, encoding="utf-8")
    result = qing("train", "--task", "tagging", "--data", tmp_path / "bad.conll", "--out", tmp_path / "m", check=False)
    assert result.returncode == 1 and why in result.stderr
    assert not (tmp_path / "m").exists() or not any((tmp_path / "m").iterdir())


def test_a_wrong_task_is_refused_by_name(qing, tagger, tmp_path):
    result = qing("train", "--task", "poetry", "--data", "x", "--out", tmp_path / "m", check=False)
    assert result.returncode == 2 and "classification" in result.stderr and "tagging" in result.stderr
    (tmp_path / "texts.tsv").write_text("label\ttext\npositive\tgood\nnegative\tbad\n", encoding="utf-8")
    for command in (["eval", "--data", tmp_path / "texts.tsv"], ["export", "--format", "onnx", "--out", tmp_path / "o"],
                    ["explain", "text"]):  # fmt: skip
        result = qing(*command, "--model", tagger[0], check=False)
        assert result.returncode == 1 and "tagging" in result.stderr, (command, result.stderr)


def ask(endpoint, path, body=None):
    status, _, answer = ask_url(endpoint + path, body)
    return status, answer


def test_a_served_tagger(qing, tagger, model_dir, tmp_path):
    root = tmp_path / "models"
    shutil.copytree(tagger[0].parent, root / "names")
    shutil.copytree(tagger[0], root / "names/2")
    shutil.copytree(model_dir, root / "mood/1")
    text = "你好 Greta Weber works for Nordwind"
    with served(qing, root, [text]) as server:
        status, answer = ask(server, "/v1/models/names/tag", {"texts": [text, ""]})
        assert status == 200 and answer["version"] == "2" and answer["results"][1]["entities"] == []
        entities = answer["results"][0]["entities"]
        assert [(e["type"], text[e["begin"] : e["end"]]) for e in entities] == [("PER", "Greta Weber"), ("ORG", "Nordwind")]

        # Many texts are computed in pieces, with the results of one.
        _, many = ask(server, "/v1/models/names/tag", {"texts": [text] * 200})
        assert all(result["entities"] == entities for result in many["results"])

        for body in ({"texts": "a"}, {}, {"texts": [1]}, {"texts": ["a"], "labels": 1}):
            status, answer = ask(server, "/v1/models/names/tag", body)
            assert status == 422, answer

        # Each route has models of its own task, and says which route to use.
        status, answer = ask(server, "/v1/models/names/predict", {"texts": [text]})
        assert status == 422 and "POST /v1/models/names/tag" in answer["error"]
        status, answer = ask(server, "/v1/models/mood/tag", {"texts": [text]})
        assert status == 422 and "POST /v1/models/mood/predict" in answer["error"]
        assert ask(server, "/v1/models/mood/predict", {"texts": [text]})[0] == 200
        # A route without a name takes the only classifier.
        assert ask(server, "/predict", {"inputs": text})[0] == 200

        # Listings and metadata.
        tasks = {model["name"]: model["task"] for model in ask(server, "/v1/models")[1]["models"]}
        assert tasks == {"names": "tagging", "mood": "classification"}
        signature = ask(server, "/v2/models/names")[1]
        assert signature["inputs"] == [{"name": "text", "datatype": "BYTES", "shape": [-1]}]
        assert signature["outputs"] == [{"name": "entities", "datatype": "BYTES", "shape": [-1]}]
        status, answer = ask(server, "/v2/models/names/infer", {
            "inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": [text]}],
        })  # fmt: skip
        assert status == 200 and json.loads(answer["outputs"][0]["data"][0]) == entities
        assert "/v1/models/{name}/tag" in ask(server, "/openapi.json")[1]["paths"]
        admin = {model["name"]: model for model in ask(server, "/v1/admin/models")[1]["models"]}
        assert admin["names"]["task"] == "tagging"
        assert b'role="active",task="tagging"' in ask(server, "/metrics")[1]

        # The Python client.
        with MaaSClient(endpoint=server) as client:
            found = client.get_model("names").tag([text, "Nobody"])
            assert [entity.text for entity in found[0]] == ["Greta Weber", "Nordwind"] and found[0][0].score > 0.5
            with pytest.raises(WrongTaskError, match=r"names is a model of the task tagging; call tag\(texts\)"):
                client.get_model("names").predict(text)
            assert client.get_model("mood").predict(text) in ("positive", "neutral", "negative")

        # Versions.
        assert ask(server, "/v1/models/names/versions/2/tag", {"texts": [text]})[1]["version"] == "2"
        status, answer = ask(server, "/v1/admin/models/names/load", {"version": "1"})
        assert status == 200, answer
        assert ask(server, "/v1/models/names/tag", {"texts": [text]})[1]["version"] == "1"
        assert ask(server, "/v1/admin/models/names/rollback", {})[0] == 200
        assert ask(server, "/v1/models/names/tag", {"texts": [text]})[1]["version"] == "2"
        status, answer = ask(server, "/v1/admin/models/names/unload", {})
        assert status == 200, answer
        assert ask(server, "/v1/models/names/tag", {"texts": [text]})[0] in (404, 503)


def test_texts_and_tokens_are_counted(qing, tagger, model_dir, tmp_path):
    shutil.copytree(tagger[0], tmp_path / "names/1")
    shutil.copytree(model_dir, tmp_path / "mood/1")
    with served(qing, tmp_path) as server:
        answer = ask(server, "/v1/models/names/tag", {"texts": ["Greta Weber", "works", "for Nordwind"] * 100})[1]
        ask(server, "/v1/models/mood/predict", {"texts": ["good", "bad"], "explain": True})
        metrics = ask(server, "/metrics")[1].decode()
    tokens = sum(result["tokens"] for result in answer["results"])
    found = dict(line.rsplit(" ", 1) for line in metrics.splitlines() if not line.startswith("#"))
    assert found['qing_model_texts_total{model="names"}'] == "300" and found['qing_model_tokens_total{model="names"}'] == str(tokens)
    pieces = int(found['qing_model_compute_seconds_count{model="names"}'])
    assert pieces > 1 and float(found['qing_model_compute_seconds_sum{model="names"}']) > 0
    assert found['qing_model_texts_total{model="mood"}'] == "2" and int(found['qing_model_tokens_total{model="mood"}']) > 2


def test_scores_that_are_not_finite_are_the_models_fault(qing, tagger, tmp_path):
    folder = tmp_path / "names/1"
    shutil.copytree(tagger[0], folder)
    # The model answers the text that a server tries it out with, and fails on words that are not in that.
    good = "warm-up 热身"
    known = json.loads(qing("tokenize", "--model", folder, good).stdout)
    weights = safetensors_numpy.load_file(folder / "model.safetensors")
    (name,) = [name for name in weights if name.endswith("word_embeddings.weight")]
    rows = numpy.full_like(weights[name], numpy.nan)
    rows[known] = weights[name][known]
    safetensors_numpy.save_file(weights | {name: rows}, folder / "model.safetensors", {"format": "pt"})
    result = qing("predict", "--model", folder, good, "Nordwind", check=False)
    assert result.returncode == 1 and "a score is not finite; check the model's weights" in result.stderr
    with served(qing, tmp_path, ["Nordwind"]) as server:
        assert ask(server, "/v1/models/names/tag", {"texts": [good]})[0] == 200
        status, answer = ask(server, "/v1/models/names/tag", {"texts": [good, "Nordwind"]})
        assert status == 500 and answer["code"] == "internal", answer
        metrics = ask(server, "/metrics")[1].decode()
    assert 'qing_model_failed_total{model="names"} 1' in metrics
    assert 'qing_version_failed_total{model="names",version="1"} 1' in metrics


def test_texts_of_several_requests_share_batches(qing, tagger):
    """And each is answered as it is alone."""
    texts = [" ".join(words) for words, _ in sentences(120, HELD, seed=21)]
    with served(qing, tagger[0].parents[1], texts) as server:
        alone = [ask(server, "/v1/models/names/tag", {"texts": [text]})[1]["results"][0] for text in texts]
        assert sum(len(result["entities"]) for result in alone) > 100

        def batches():
            samples = re.findall(rb'^qing_model_batches_total\{model="names"[^}]*\} (\d+)', ask(server, "/metrics")[1], re.M)
            return sum(map(int, samples))

        before, requests = batches(), [(text, f"a longer neighbour of it: {text}") for text in texts * 3]
        assert before == len(texts)
        with concurrent.futures.ThreadPoolExecutor(32) as pool:
            answers = list(pool.map(lambda each: ask(server, "/v1/models/names/tag", {"texts": each})[1], requests))
        assert [answer["results"][0] for answer in answers] == alone * 3
        computed = batches() - before
        # How many meet depends on the speeds of client and server; SharedBatches has cases that do not.
        assert 0 < computed < len(requests), f"{computed} batches for {len(requests)} requests"


def test_listings_of_the_command_name_the_task(qing, tagger):
    found = json.loads(qing("models", "--json", "--models", tagger[0].parent.parent).stdout.splitlines()[0])
    assert found["task"] == "tagging" and "error" not in found
