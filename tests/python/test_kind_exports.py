"""`qing export` of several labels, ordered labels and numbers: transformers and onnxruntime give the logits, scores, labels and
values of `qing predict`, and GGUF and safetensors say how to decide."""

import json

import numpy as np
import pytest
from test_exports import (
    TOLERANCE, batches, export, gguf, ort_session, safetensors, torch, transformers, transformers_answers,
)  # fmt: skip
from test_multi_label import LABELS, label_sets
from test_problem_kinds import KINDS, files, models, star_rows, training  # noqa: F401: files and models are fixtures

CODE = {"trust_remote_code": True}


def texts_of(kind):
    """Some with words that the vocabulary lacks."""
    if kind == "multi-label":
        texts = [text for text, _ in label_sets(60, 7)]
    else:
        texts = [line.rsplit(",", 1)[0] for line in star_rows(60, 7, False).splitlines()[1:]]
    return [*texts, "zzz goal\U0001fae0", "一 superb", "a"]


def predictions(qing, model, texts):
    lines = qing("predict", "--model", model, "--json", "--logits", *texts).stdout.splitlines()
    return [json.loads(line) for line in lines]


def answers(qing, model, texts):
    """[texts, labels] of logits and of scores. The score of a number is the number."""
    found = predictions(qing, model, texts)
    logits = np.array([one["logits"] for one in found])
    return logits, np.array([list(one["scores"].values()) for one in found]) if "scores" in found[0] else logits


@pytest.fixture(scope="module")
def ngram_models(qing, files, tmp_path_factory):  # noqa: F811
    """Models with n-grams, which numbers do not have."""
    folder, made = tmp_path_factory.mktemp("ngram_models"), {}
    for kind in ("multi-label", "ordinal"):
        made[kind] = folder / kind
        qing(*training(files, kind, made[kind], "--epochs", 6, "--ngrams", 2))
    return made


def check(kind, ours, output, labels):
    """Of transformers with the code that travels along."""
    if kind == "multi-label":
        decided = [[label for label, is_one in zip(labels, row) if is_one] for row in output.predicted.tolist()]
        assert decided == [one["labels"] for one in ours]
        assert output.value is None
    else:
        assert output.predicted is None
        assert output.value.numpy() == pytest.approx([one["value"] for one in ours], rel=1e-5, abs=TOLERANCE)


def unit_of(logits):
    """Differences of numbers count in parts of them."""
    return max(1, np.abs(logits).max())


@pytest.mark.parametrize("kind", KINDS)
def test_transformers_gives_the_same(qing, models, tmp_path, kind):  # noqa: F811
    texts, model = texts_of(kind), models[kind][1]
    logits, scores = answers(qing, model, texts)
    out = export(qing, model, "hf", tmp_path / "hf")
    coded = kind == "ordinal"
    assert (out / "modeling_qing.py").exists() == coded
    parts = transformers_answers(out, texts, **(CODE if coded else {}))
    theirs = torch.cat([part.logits for part in parts]).numpy()
    assert logits.std() > 0.1 and np.abs(logits - theirs).max() / unit_of(logits) < TOLERANCE
    config = transformers.AutoConfig.from_pretrained(out, **CODE)
    ours = predictions(qing, model, texts)
    if coded:
        with pytest.raises(ValueError, match="custom code|trust_remote_code"):
            transformers.AutoModelForSequenceClassification.from_pretrained(out, trust_remote_code=False)
        assert np.abs(scores - torch.cat([part.scores for part in parts]).numpy()).max() < TOLERANCE
        for i, part in enumerate(parts):
            check(kind, ours[32 * i : 32 * i + 32], part, None)
        assert config.problem_type == "single_label_classification" and config.places == [1, 2, 3, 4, 5]
        return
    # The pipeline of transformers itself knows the kind: sigmoids, and a number as it is.
    pipeline = transformers.pipeline("text-classification", model=str(out), top_k=None)
    for one, wanted in zip(pipeline(texts), scores):
        found = {entry["label"]: entry["score"] for entry in one}
        names = LABELS if kind == "multi-label" else ["value"]
        assert [found[name] for name in names] == pytest.approx(list(wanted), rel=TOLERANCE, abs=TOLERANCE)
    if kind == "multi-label":
        assert config.problem_type == "multi_label_classification"
        decided = [[name for name, score, least in zip(LABELS, row, config.thresholds) if score >= least] for row in scores]
        assert decided == [one["labels"] for one in ours] and any(least != 0.5 for least in config.thresholds)
    else:
        assert config.problem_type == "regression" and config.num_labels == 1
        assert theirs[:, 0] == pytest.approx([one["value"] for one in ours], rel=TOLERANCE)


@pytest.mark.parametrize("kind", ["multi-label", "ordinal"])
def test_the_code_of_ngrams_gives_the_same(qing, ngram_models, tmp_path, kind):
    texts, model = texts_of(kind), ngram_models[kind]
    logits, scores = answers(qing, model, texts)
    out = export(qing, model, "hf", tmp_path / "hf")
    parts = transformers_answers(out, texts, **CODE)
    assert np.abs(logits - torch.cat([part.logits for part in parts]).numpy()).max() < TOLERANCE
    assert np.abs(scores - torch.cat([part.scores for part in parts]).numpy()).max() < TOLERANCE
    ours = predictions(qing, model, texts)
    for i, part in enumerate(parts):
        check(kind, ours[32 * i : 32 * i + 32], part, LABELS)
    pipeline = transformers.pipeline("text-classification", model=str(out), top_k=None, **CODE)
    for one, wanted in zip(pipeline(texts[:8]), ours):
        assert {entry["label"]: entry["score"] for entry in one} == pytest.approx(wanted["scores"], abs=TOLERANCE)


@pytest.mark.parametrize("kind", KINDS)
def test_onnxruntime_gives_the_same_and_bytes_nearly(qing, models, tmp_path, kind):  # noqa: F811
    texts, model = texts_of(kind), models[kind][1]
    logits, scores = answers(qing, model, texts)
    found = {}
    for form in ("onnx", "onnx-int8"):
        out = export(qing, model, form, tmp_path / form)
        session = ort_session(out)
        parts = [session.run(["logits", "scores"], batch) for batch in batches(out, texts)]
        found[form] = [np.concatenate(part) for part in zip(*parts)]
        said = session.get_modelmeta().custom_metadata_map
        assert said["problem"] == kind
        assert len(json.loads(said.get("thresholds", "[]"))) == (4 if kind == "multi-label" else 0)
        assert json.loads(said.get("places", "[]")) == ([1, 2, 3, 4, 5] if kind == "ordinal" else [])
    for ours, theirs in zip((logits, scores), found["onnx"]):
        assert np.abs(ours - theirs).max() / unit_of(ours) < TOLERANCE
    rounded = found["onnx-int8"][0]
    difference = np.abs(rounded - logits).max() / logits.std()
    assert 1e-6 < difference < 0.3, "its weights are bytes"
    if kind == "multi-label":
        assert ((rounded > 0) == (logits > 0)).mean() > 0.98
    elif kind == "ordinal":
        assert (rounded.argmax(1) == logits.argmax(1)).mean() > 0.95
    else:
        assert np.corrcoef(rounded[:, 0], logits[:, 0])[0, 1] > 0.99


@pytest.mark.parametrize("kind", KINDS)
def test_files_of_tensors_say_how_to_decide(qing, models, tmp_path, kind):  # noqa: F811
    model = models[kind][1]
    ours, config = safetensors.load_file(model / "model.safetensors"), json.loads((model / "config.json").read_text())
    reader = gguf.GGUFReader(export(qing, model, "gguf", tmp_path / "gguf") / "model.gguf")
    tensors = {tensor.name: tensor.data for tensor in reader.tensors}
    assert tensors["cls.output.weight"].tobytes() == ours["classifier.weight"].tobytes() and len(tensors) == len(ours)
    said = {name: field.contents() for name, field in reader.fields.items() if name.startswith("qing.")}
    assert said["qing.problem"] == kind
    assert said.get("qing.thresholds") == config.get("thresholds")
    assert said.get("qing.places") == ([1, 2, 3, 4, 5] if kind == "ordinal" else None)

    from safetensors import safe_open

    with safe_open(export(qing, model, "safetensors", tmp_path / "st") / "model.safetensors", "numpy") as file:
        facts = file.metadata()
        assert all(file.get_tensor(name).tobytes() == ours[name].tobytes() for name in ours)
    assert facts["qing.problem"] == kind
    assert json.loads(facts.get("qing.thresholds", "null")) == config.get("thresholds")
    assert json.loads(facts.get("qing.places", "null")) == ([1, 2, 3, 4, 5] if kind == "ordinal" else None)


def test_a_model_without_fitted_thresholds_has_those_of_qing(qing, files, tmp_path):  # noqa: F811
    data, _ = files["multi-label"]
    qing("train", "--data", data, "--dev-share", 0, "--multi-label", 1, "--layers", 1, "--width", 32, "--vocab", 300,
         "--epochs", 1, "--ngrams", 2, "--out", tmp_path / "m")  # fmt: skip
    assert "thresholds" not in json.loads((tmp_path / "m/config.json").read_text())
    out = export(qing, tmp_path / "m", "hf", tmp_path / "hf")
    assert json.loads((out / "config.json").read_text())["thresholds"] == [0.5] * 4
