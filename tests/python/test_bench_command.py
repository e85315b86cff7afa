"""`qing bench MODEL TEXTS`: qing and the engines that a Python has run the same model on the same texts and agree."""

import os
import errno
import json
import sys
import xml.etree.ElementTree as xml

import pytest
from conftest import synthetic_rows, write_tsv
from test_embeddings import encoder, model_of  # noqa: F401: encoder is a fixture

for package in ("onnxruntime", "openvino", "torch", "transformers", "tokenizers"):
    pytest.importorskip(package)

QUICK = ("--rounds", 2, "--batch", 1, "--batch", 4, "--threads", 1, "--python", sys.executable)


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    return write_tsv(tmp_path_factory.mktemp("texts") / "texts.tsv", synthetic_rows(30, seed=8))


def check(found, labels):
    """Everything that a run with f32 and int8 has to say."""
    engines = {(one["engine"], one["precision"]): one for one in found["engines"]}
    assert found["engines"][0] == engines["qing", "f32"]
    assert engines.pop(("torch", "int8"))["absent"]
    assert set(engines) == {("qing", "f32"), ("qing", "int8"), ("onnxruntime", "f32"), ("onnxruntime", "int8"),
                            ("openvino", "f32"), ("openvino", "int8"), ("torch", "f32")}  # fmt: skip
    for (engine, precision), one in engines.items():
        assert "absent" not in one, one
        assert one["tokens"] == found["tokens"], engine
        assert one["difference"] < (1e-5 if precision == "f32" else 0.2), one
        assert (precision == "f32") <= (one["difference"] < 1e-5)
        assert one["version"] and one["ready_seconds"] > 0 and one["memory_bytes"] > one["memory_before_bytes"] > 1e6
        if labels:
            assert one["same_labels"] == 1 if precision == "f32" else one["same_labels"] > 0.9
        assert [speed["batch"] for speed in one["speeds"]] == [1, 4]
        for speed in one["speeds"]:
            assert 0 < speed["p50_seconds"] <= speed["p95_seconds"] <= speed["p99_seconds"]
            assert speed["texts_per_second"] > 0 and speed["against_first"] > 0
            per_text = speed["tokens_per_second"] / speed["texts_per_second"]
            assert per_text == pytest.approx(found["tokens"] / found["texts"])
    assert all(speed["against_first"] == 1 for speed in engines["qing", "f32"]["speeds"])
    assert engines["qing", "int8"]["difference"] > 0
    # A process of qing has its own memory alone: no Python, and no other engine's model.
    assert engines["qing", "f32"]["memory_bytes"] < engines["onnxruntime", "f32"]["memory_bytes"]


def test_a_classifier_beside_all_engines(qing, model_dir, texts, tmp_path):
    chart = tmp_path / "chart.svg"
    found = json.loads(qing("bench", model_dir, texts, *QUICK, "--json", "--chart", chart).stdout)
    assert found["texts"] == 30 and found["threads"] == 1 and found["rounds"] == 2
    assert found["longest"] <= found["tokens"] <= 30 * found["longest"]
    check(found, labels=True)
    words = " ".join(part.text or "" for part in xml.parse(chart).getroot().iter())
    for told in ("qing f32", "onnxruntime f32", "openvino int8", "torch f32", "4 texts a call", str(model_dir)):
        assert told in words


@pytest.mark.parametrize("pooling, normalize", [("mean_tokens", True), ("cls_token", False)])
def test_sentence_embeddings_beside_all_engines(qing, encoder, texts, tmp_path, pooling, normalize):  # noqa: F811
    folder = model_of(tmp_path, encoder, pooling, normalize)
    found = json.loads(qing("bench", folder, texts, *QUICK, "--json").stdout)
    check(found, labels=False)


def test_a_table_names_what_is_absent(qing, model_dir, texts, tmp_path):
    result = qing("bench", model_dir, texts, "--rounds", 1, "--precision", "f32", "--python", tmp_path / "none")
    lines = result.stdout.splitlines()
    assert lines[0].startswith(f"model    {model_dir}, ") and "30, " in lines[1]
    for engine in ("onnxruntime", "openvino", "torch"):
        (line,) = [line for line in lines if line.startswith(engine)]
        assert "absent: cannot run" in line and os.strerror(errno.ENOENT) in line
    assert [line.split()[:3] for line in lines if line.startswith("qing f32")] == [["qing", "f32", "1"], ["qing", "f32", "32"]]


def test_an_engine_that_fails_is_absent_and_nothing_else(qing, model_dir, texts, tmp_path):
    fake = tmp_path / "python"
    fake.write_text(f'#!/bin/sh\nexport PYTHONPATH={tmp_path}\nexec {sys.executable} "$@"\n')
    fake.chmod(0o755)
    (tmp_path / "openvino.py").write_text("raise ImportError('not this one')\n")
    arguments = ("--rounds", 1, "--precision", "f32", "--engine", "openvino", "--engine", "onnxruntime", "--python", fake, "--json")
    qing_, openvino, onnxruntime = json.loads(qing("bench", model_dir, texts, *arguments).stdout)["engines"]
    assert openvino["absent"] == "ImportError: not this one"
    assert "absent" not in qing_ and "absent" not in onnxruntime


@pytest.mark.parametrize("name, content", [("a.txt", "one\n\n  \ntwo\r\nthree\n"), ("a.CSV", 'body,n\none,1\n"two",2\n"three",3\n'),
                                           ("a.jsonl", '{"body": "one"}\n{"body": "two"}\n{"body": "three"}\n')])  # fmt: skip
def test_texts_come_from_lines_or_a_column(qing, model_dir, tmp_path, name, content):
    path = tmp_path / name
    path.write_text(content)
    arguments = ("--alone", "--rounds", 1, "--column", "body", "--json")
    assert json.loads(qing("bench", model_dir, path, *arguments).stdout)["texts"] == 3
    assert json.loads(qing("bench", model_dir, path, *arguments, "--limit", 2).stdout)["texts"] == 2


def test_wrong_use_is_refused(qing, model_dir, texts, tmp_path):
    (tmp_path / "empty.txt").write_text("\n")
    for arguments, code, told in (
        ((model_dir,), 2, "needs TEXTS"),
        ((model_dir, texts, "--batch", 0), 2, "--batch"),
        ((model_dir, texts, "--precision", "f16"), 2, "--precision"),
        ((model_dir, tmp_path / "empty.txt"), 1, "there are no texts"),
        ((model_dir, tmp_path / "none.txt"), 1, "none.txt"),
        ((tmp_path, texts, "--alone"), 1, "config.json"),
    ):
        result = qing("bench", *arguments, check=False)
        assert result.returncode == code and told in result.stderr, (arguments, result.stderr)
