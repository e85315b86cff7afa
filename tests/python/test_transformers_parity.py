"""`transformers` loads models of qing, qing loads models of `transformers`, and the logits agree."""

import json
import re
import shutil

import pytest
from conftest import ROOT, logits_of, small_training

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

TOLERANCE = 1e-5


def texts_of(data_dir, count):
    texts = []
    for name in ("en.dev.tsv", "zh.dev.tsv"):
        rows = (data_dir / name).read_text(encoding="utf-8").split("\n")[1 : count + 1]
        texts += [row.split("\t")[2] for row in rows]
    return texts


def transformers_logits(model_dir, texts):
    tokenizer = transformers.AutoTokenizer.from_pretrained(model_dir)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(model_dir).eval()
    batch = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
    with torch.no_grad():
        return model(**batch).logits, model, tokenizer


def test_hundred_texts_have_the_same_logits(qing, model_dir, data_dir, tmp_path):
    texts = texts_of(data_dir, 50)
    assert len(texts) == 100
    theirs, model, _ = transformers_logits(model_dir, texts)
    assert model.config.id2label == {0: "negative", 1: "neutral", 2: "positive"}
    ours = logits_of(qing, model_dir, texts, tmp_path)
    assert theirs.std() > 0.1, "logits that hardly differ would prove nothing"
    worst = (ours - theirs).abs().max().item()
    print(f"largest difference of {ours.numel()} logits: {worst:.2e}")
    assert worst < TOLERANCE


def test_a_model_saved_by_transformers(qing, model_dir, tmp_path):
    torch.manual_seed(3)
    vocabulary = (model_dir / "vocab.txt").read_text(encoding="utf-8").count("\n")
    config = transformers.BertConfig(
        vocab_size=vocabulary + 3, hidden_size=48, num_hidden_layers=3, num_attention_heads=6, intermediate_size=100,
        max_position_embeddings=140, initializer_range=0.2, id2label={0: "no", 1: "yes"}, label2id={"no": 0, "yes": 1},
    )  # fmt: skip
    folder = tmp_path / "saved"
    transformers.BertForSequenceClassification(config).save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(model_dir).save_pretrained(folder)
    texts = ["I love this film", "这个产品真的很差", "a chair, 一把椅子!", "x"]
    theirs, _, _ = transformers_logits(folder, texts)
    worst = (logits_of(qing, folder, texts, tmp_path) - theirs).abs().max().item()
    assert theirs.std() > 0.1
    assert worst < TOLERANCE


@pytest.fixture(scope="module")
def ngram_dir(qing, tiny_data, tmp_path_factory):
    out = tmp_path_factory.mktemp("ngrams") / "m"
    qing(*small_training(tiny_data, out, "--ngrams", 2, "--ngram-lr", 0.05, "--max-steps", 20))
    return out


TEXTS = ["I love this film", "这个产品真的很差", "a chair, 一把椅子!", "zzz"]
SHIPPED = ROOT / "serve/models/emotion_analysis/1"


@pytest.mark.parametrize("shipped", [False, True], ids=["trained", "shipped"])
def test_transformers_refuses_a_model_with_ngrams(qing, ngram_dir, shipped, tmp_path):
    """transformers would ignore the n-grams and compute another model."""
    folder = SHIPPED if shipped else ngram_dir
    for load in (
        transformers.AutoConfig.from_pretrained,
        transformers.AutoModel.from_pretrained,
        transformers.AutoModelForSequenceClassification.from_pretrained,
        lambda path: transformers.pipeline("text-classification", model=str(path)),
    ):
        with pytest.raises(ValueError, match="qing_bert_ngrams"):
            load(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    ours = [json.loads(line) for line in qing("tokenize", "--model", folder, *TEXTS).stdout.splitlines()]
    assert [tokenizer(text)["input_ids"] for text in TEXTS] == ours
    # It can compute only the encoder, and only if its class is named.
    encoder = transformers.BertForSequenceClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        alone = encoder(**tokenizer(TEXTS, padding=True, return_tensors="pt")).logits
    assert (logits_of(qing, folder, TEXTS, tmp_path) - alone).abs().max() > 0.05


def test_qing_loads_ngrams_of_the_type_bert(qing, ngram_dir, tmp_path):
    """Older model directories have the type bert."""
    old = tmp_path / "old"
    shutil.copytree(ngram_dir, old)
    config = json.loads((old / "config.json").read_text())
    assert config["model_type"] == "qing_bert_ngrams" and config["ngram_head"] is True
    config["model_type"], config["architectures"] = "bert", ["BertForSequenceClassification"]
    (old / "config.json").write_text(json.dumps(config))
    assert torch.equal(logits_of(qing, old, TEXTS, tmp_path), logits_of(qing, ngram_dir, TEXTS, tmp_path))
    config["model_type"], config["ngram_head"] = "qing_bert_ngrams", False
    (old / "config.json").write_text(json.dumps(config))
    refused = qing("predict", "--model", old, "x", check=False)
    assert refused.returncode == 1 and "config.json: ngram_head" in refused.stderr


@pytest.mark.parametrize("shipped", [False, True], ids=["trained", "shipped"])
def test_the_card_says_which_programs_load_it(ngram_dir, model_dir, shipped):
    card = ((SHIPPED if shipped else ngram_dir) / "README.md").read_text(encoding="utf-8")
    assert "library_name: qing\n" in card and "`transformers` does not compute this model" in card
    assert "`transformers` (`AutoModelForSequenceClassification`" not in card
    plain = (model_dir / "README.md").read_text(encoding="utf-8")
    assert "library_name: transformers\n" in plain
    assert re.search(r"`transformers` \(`AutoModelForSequenceClassification`, `AutoTokenizer`\) load it", plain)
