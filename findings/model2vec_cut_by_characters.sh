#!/usr/bin/env bash
# What: encode of a model2vec model cuts a text by characters before it counts tokens: after max_length times the median length of
# the vocabulary's entries. A text of long words thus loses its end although it has fewer tokens than max_length. One expects
# max_length tokens, as the parameter's description says, because the cut is only to save time for texts that are too long.
# Versions: model2vec 0.10.0, tokenizers 0.23.3, numpy 2.4.6.
# A user meets it with technical or German texts, addresses and code, whose tokens are longer than the median of a vocabulary that
# is full of fragments: words behind the cut do not count, and two texts that differ there have the same embedding.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check model2vec==0.10.0 tokenizers==0.23.3 numpy==2.4.6
"$folder/bin/pip" freeze | grep -iE '^(model2vec|tokenizers|numpy)=='
cd "$folder"
bin/python -W ignore - <<'PY'
import numpy as np
from model2vec import StaticModel
from tokenizers import Tokenizer, models, pre_tokenizers

# Most entries have two letters, as fragments have.
words = ["[PAD]", "[UNK]", "internationalisation", "good", "bad", *(a + b for a in "abcdefgh" for b in "abcdefgh")]
rule = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
rule.pre_tokenizer = pre_tokenizers.Whitespace()
vectors = np.zeros((len(words), 3), np.float32)
vectors[2:5] = np.eye(3)
model = StaticModel(vectors, rule, normalize=False)

seen = {}
for limit in (10, 100, None):
    for end in ("good", "bad"):
        text = "internationalisation " * 3 + end
        seen[limit, end] = model.encode(text, max_length=limit)
        print(f"max_length {limit}, {len(rule.encode(text).tokens)} tokens that end with {end:4}:", seen[limit, end])
cut = (seen[10, "good"] == seen[10, "bad"]).all()
kept = all((seen[limit, "good"] != seen[limit, "bad"]).any() for limit in (100, None))
same = cut and kept

print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
