"""What qing trains `transformers` loads, what `transformers` saves qing loads, and the logits agree."""

import json

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

TOLERANCE = 1e-5


def texts_of(data_dir, count):
    texts = []
    for name in ("en.dev.tsv", "zh.dev.tsv"):
        rows = (data_dir / name).read_text(encoding="utf-8").split("\n")[1 : count + 1]
        texts += [row.split("\t")[2] for row in rows]
    return texts


def qing_logits(qing, model, texts, tmp_path):
    path = tmp_path / "texts.txt"
    path.write_bytes("".join(text + "\n" for text in texts).encode())
    lines = qing("predict", "--model", model, "--file", path, "--json", "--logits").stdout.splitlines()
    return torch.tensor([json.loads(line)["logits"] for line in lines])


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
    ours = qing_logits(qing, model_dir, texts, tmp_path)
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
    worst = (qing_logits(qing, folder, texts, tmp_path) - theirs).abs().max().item()
    assert theirs.std() > 0.1
    assert worst < TOLERANCE
