#!/usr/bin/env bash
# What: AutoTokenizer takes only the vocabulary from a tokenizer.json when the class is BertTokenizer. Normalizer,
# pre-tokenizer and post-processor of the file are ignored without a warning and built anew from tokenizer_config.json,
# whose do_lower_case is true when it is missing. PreTrainedTokenizerFast takes the same file as it is.
# Versions: transformers 5.23.0, tokenizers 0.23.3.
# A user meets it with a cased model whose folder says so in tokenizer.json alone: ids are those of lower-cased text.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check transformers==5.23.0 tokenizers==0.23.3
"$folder/bin/pip" freeze | grep -E '^(transformers|tokenizers)='
cd "$folder"
bin/python - <<'PY'
import json
import os

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import AutoTokenizer

words = "[PAD] [UNK] [CLS] [SEP] [MASK] Paris paris".split()
tokenizer = Tokenizer(models.WordPiece({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
seen = {}
for name in ("BertTokenizer", "PreTrainedTokenizerFast"):
    os.makedirs(name)
    tokenizer.save(f"{name}/tokenizer.json")
    with open(f"{name}/tokenizer_config.json", "w") as file:
        json.dump({"tokenizer_class": name, "unk_token": "[UNK]"}, file)
    with open(f"{name}/config.json", "w") as file:
        json.dump({"model_type": "bert"}, file)
    seen[name] = AutoTokenizer.from_pretrained(name).tokenize("Paris")
    print(name, seen[name])
same = seen == {"BertTokenizer": ["paris"], "PreTrainedTokenizerFast": ["Paris"]}
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
