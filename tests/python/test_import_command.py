"""`qing import FILE`: what stands beside the file of an encoder comes along, and the command says what."""

import json
import shutil
import sys

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("onnx")
from bert_files import small_bert  # noqa: E402
from test_onnx_files import exported  # noqa: E402


@pytest.fixture(scope="module")
def pieces(model_dir):
    return (model_dir / "vocab.txt").read_text(encoding="utf-8").count("\n")


@pytest.fixture(scope="module")
def encoder_file(pieces, tmp_path_factory):
    return exported(small_bert(vocab_size=pieces), tmp_path_factory.mktemp("onnx") / "model.onnx", 17)


@pytest.fixture(scope="module")
def classifier_file(pieces, tmp_path_factory):
    model = small_bert(kind="BertForSequenceClassification", vocab_size=pieces, num_labels=3)
    return exported(model, tmp_path_factory.mktemp("onnx") / "model.onnx", 17, outputs=("logits",)), model.config


def beside(file, tmp_path, *more):
    folder = tmp_path / "source"
    folder.mkdir()
    shutil.copy(file, folder / "model.onnx")
    for path in more:
        shutil.copy(path, folder)
    return folder / "model.onnx"


def imported(qing, source, out, *arguments):
    return json.loads(qing("import", source, "--out", out, "--json", *arguments).stdout)


def test_a_tokenizer_comes_along(qing, encoder_file, model_dir, tmp_path):
    source = beside(encoder_file, tmp_path, model_dir / "tokenizer.json", model_dir / "tokenizer_config.json")
    found = imported(qing, source, tmp_path / "out")
    assert found["tokenizer"] is True and found["taken"] == ["tokenizer.json", "tokenizer_config.json"]
    assert (tmp_path / "out/tokenizer.json").read_bytes() == (model_dir / "tokenizer.json").read_bytes()
    said = qing("import", source, "--out", tmp_path / "again").stdout
    assert "also from the source's folder: tokenizer.json, tokenizer_config.json" in said and "warning" not in said
    # The folder is a model: texts go in, vectors come out.
    (tmp_path / "texts.txt").write_text("I love this film\n")
    bench = qing("bench", tmp_path / "out", tmp_path / "texts.txt", "--alone", "--rounds", 1, "--json")
    assert json.loads(bench.stdout)["texts"] == 1


def test_without_a_tokenizer_the_command_warns(qing, encoder_file, tmp_path):
    source = beside(encoder_file, tmp_path)
    found = imported(qing, source, tmp_path / "out")
    assert found["tokenizer"] is False and found["taken"] == []
    assert "warning: there is no tokenizer" in qing("import", source, "--out", tmp_path / "again").stdout


def test_a_tokenizer_of_another_model_is_refused(qing, encoder_file, model_dir, tmp_path):
    source = beside(encoder_file, tmp_path, model_dir / "vocab.txt")
    with (source.parent / "vocab.txt").open("a") as file:
        file.write("onemore\n")
    result = qing("import", source, "--out", tmp_path / "out", check=False)
    assert result.returncode == 1 and "of different models" in result.stderr and not (tmp_path / "out/config.json").exists()


def pooling_of(folder):
    return json.loads((folder / "1_Pooling/config.json").read_text())


@pytest.mark.parametrize("name", ["mean", "cls"])
def test_the_pooling_is_an_option(qing, encoder_file, model_dir, tmp_path, name):
    source = beside(encoder_file, tmp_path, model_dir / "vocab.txt")
    imported(qing, source, tmp_path / "out", "--pooling", name)
    assert pooling_of(tmp_path / "out") == {"pooling_mode_cls_token": name == "cls", "pooling_mode_mean_tokens": name == "mean"}
    (tmp_path / "texts.txt").write_text("I love this film\n")
    torch_ = ("--python", sys.executable, "--engine", "torch", "--rounds", 1, "--precision", "f32", "--json")
    _, theirs = json.loads(qing("bench", tmp_path / "out", tmp_path / "texts.txt", *torch_).stdout)["engines"]
    assert theirs["difference"] < 1e-5, theirs


def test_modules_json_says_the_pooling(qing, encoder_file, model_dir, tmp_path):
    from test_embeddings import write_modules

    source = beside(encoder_file, tmp_path, model_dir / "vocab.txt")
    write_modules(source.parent, "cls_token", True)
    (source.parent / "config_sentence_transformers.json").write_text('{"prompts": {}, "default_prompt_name": null}')
    found = imported(qing, source, tmp_path / "out")
    assert found["taken"] == ["vocab.txt", "modules.json", "config_sentence_transformers.json", "sentence_bert_config.json"]
    assert pooling_of(tmp_path / "out")["pooling_mode_cls_token"]
    assert len(json.loads((tmp_path / "out/modules.json").read_text())) == 3
    result = qing("import", source, "--out", tmp_path / "other", "--pooling", "mean", check=False)
    assert result.returncode == 1 and "leave --pooling out" in result.stderr


def test_the_labels_of_a_config_beside_it(qing, classifier_file, model_dir, tmp_path):
    file, config = classifier_file
    source = beside(file, tmp_path, model_dir / "vocab.txt")
    config.id2label = {0: "good", 1: "so-so", 2: "bad"}
    config.label2id = {"good": 0, "so-so": 1, "bad": 2}
    config.save_pretrained(source.parent)
    assert imported(qing, source, tmp_path / "out")["taken"] == ["vocab.txt", "config.json"]
    line = json.loads(qing("predict", "--model", tmp_path / "out", "--json", "I love this film").stdout)
    assert set(line["scores"]) == {"good", "so-so", "bad"}
    # Another encoder's labels are not these.
    other = json.loads((source.parent / "config.json").read_text())
    (source.parent / "config.json").write_text(json.dumps({**other, "num_hidden_layers": 7}))
    assert imported(qing, source, tmp_path / "other")["taken"] == ["vocab.txt"]
    result = qing("import", source, "--out", tmp_path / "third", "--pooling", "mean", check=False)
    assert result.returncode == 1 and "a model with a head has no pooling" in result.stderr
