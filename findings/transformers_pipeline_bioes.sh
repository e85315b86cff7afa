#!/usr/bin/env bash
# What: the token-classification pipeline of transformers takes every tag that does not begin with B- or I- for a continuation,
# and its whole name for the type. With BIOES tags it cuts a name before its last word (B-PER, E-PER are two entities) and joins
# neighbouring names of one word (S-PER, S-PER are one). The groups are still called PER. All strategies do so. One expects either
# entities as the tags say, or groups named E-PER and S-PER that show that the scheme is unknown.
# Versions: transformers 5.23.0, torch 2.15.0, tokenizers 0.23.3. The installation takes some gigabytes.
# A user meets it with a model trained on BIOES tags: scores that are computed from its tags are high, and the entities that the
# pipeline returns are wrong for names of several words.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check transformers==5.23.0 torch==2.15.0 tokenizers==0.23.3 numpy==2.4.6
"$folder/bin/pip" freeze | grep -iE '^(transformers|torch|tokenizers|numpy)=='
cd "$folder"
bin/python -W ignore - <<'PY'
import os

os.environ["TRANSFORMERS_VERBOSITY"] = "error"
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertForTokenClassification, PreTrainedTokenizerFast, TokenClassificationPipeline


def entities(tags, strategy):
    """What the pipeline finds in the words, with a model that gives each word its tag."""
    words, labels = ["[PAD]", "[UNK]", *tags], list(dict.fromkeys(["O", *tags.values()]))
    rule = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    rule.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=rule, unk_token="[UNK]", pad_token="[PAD]")
    model = BertForTokenClassification(BertConfig(vocab_size=len(words), hidden_size=8, num_hidden_layers=0, num_attention_heads=1,
                                                  intermediate_size=8, id2label=dict(enumerate(labels)))).eval()  # fmt: skip
    with torch.no_grad():
        for table in (model.bert.embeddings.position_embeddings, model.bert.embeddings.token_type_embeddings, model.classifier):
            table.weight.zero_()
        model.classifier.bias.zero_()
        model.bert.embeddings.word_embeddings.weight.copy_(torch.eye(len(words), 8))
        for i, tag in enumerate(tags.values()):
            model.classifier.weight[labels.index(tag), i + 2] = 5
    pipeline = TokenClassificationPipeline(model=model, tokenizer=tokenizer, aggregation_strategy=strategy)
    return [(found["entity_group"], found["word"]) for found in pipeline(" ".join(tags))]


cases = {"one name, BIO": {"anna": "B-PER", "meyer": "I-PER"}, "one name, BIOES": {"anna": "B-PER", "meyer": "E-PER"},
         "two names, BIO": {"anna": "B-PER", "maria": "B-PER"}, "two names, BIOES": {"anna": "S-PER", "maria": "S-PER"}}  # fmt: skip
seen = {}
for strategy in ("simple", "first", "average", "max"):
    for case, tags in cases.items():
        seen[case, strategy] = entities(tags, strategy)
        print(f"{strategy:8} {case:17} {' '.join(tags.values()):12} gives", seen[case, strategy])
counts = {case: {len(seen[case, strategy]) for strategy in ("simple", "first", "average", "max")} for case in cases}
same = list(counts.values()) == [{1}, {2}, {2}, {1}] and {kind for found in seen.values() for kind, _ in found} == {"PER"}

print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
