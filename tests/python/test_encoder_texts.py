"""Classifiers of each family that `transformers` saved with its tokenizer: texts give the same logits through the command."""

import json

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
from test_encoder_families import FAMILIES, expect_equal  # noqa: E402
from test_tokenizer_folders import make as make_tokenizer  # noqa: E402
from test_tokenizer_folders import trained  # noqa: E402, F401
from tokenizer_peers import made_texts  # noqa: E402

TEXTS = ["".join(" " if c in "\r\n" else c for c in text) for text in made_texts(60, 3)] + ["我非常喜欢这个电影", "the end <s> [SEP] <mask> Café", "x", "word " * 700]


@pytest.mark.parametrize(
    "family, tokenizer_class",
    [
        ("bert", "BertTokenizer"),
        ("distilbert", "DistilBertTokenizer"),
        ("roberta", "RobertaTokenizer"),
        ("xlm-r", "XLMRobertaTokenizer"),
        ("albert", "AlbertTokenizer"),
        ("mpnet", "MPNetTokenizer"),
    ],
)
def test_logits_of_texts(qing, trained, family, tokenizer_class, tmp_path):  # noqa: F811
    tokenizer = make_tokenizer(trained, tokenizer_class)
    prefix, sizes = FAMILIES[family]
    torch.manual_seed(1)
    config = getattr(transformers, prefix + "Config")(
        **sizes | dict(vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id, num_labels=3)
    )
    model = getattr(transformers, prefix + "ForSequenceClassification")(config).eval()
    model.save_pretrained(tmp_path / "m")
    tokenizer.save_pretrained(tmp_path / "m")
    (tmp_path / "texts").write_text("".join(text + "\n" for text in TEXTS), encoding="utf-8")
    lines = qing("predict", "--model", tmp_path / "m", "--json", "--logits", "--file", tmp_path / "texts").stdout
    ours = torch.tensor([json.loads(line)["logits"] for line in lines.split("\n")[:-1]])
    reader = transformers.AutoTokenizer.from_pretrained(tmp_path / "m")
    with torch.no_grad():
        theirs = [model(**reader(text, truncation=True, max_length=512, return_tensors="pt")).logits[0] for text in TEXTS]
    expect_equal(ours, torch.stack(theirs))
