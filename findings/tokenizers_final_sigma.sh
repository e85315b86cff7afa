#!/usr/bin/env bash
# What: a Greek word in capitals is lower-cased to other letters by tokenizers than by Python. At the end of a word the capital sigma
# becomes the final sigma in Python's str.lower(), as Unicode has it. Lowercase and BertNormalizer of tokenizers look at each
# character alone and give the other one.
# Versions: tokenizers 0.23.3.
# A user meets it with an uncased Greek or multilingual model whose vocabulary was made with Python: about every third word of a
# headline in capitals ends in a sigma, and none of these is found in the vocabulary.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check tokenizers==0.23.3
"$folder/bin/pip" freeze | grep -iE '^tokenizers=='
cd "$folder"
bin/python - <<'PY'
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

word = "ΔΡΟΜΟΣ"
same = True
for normalizer in (normalizers.Lowercase(), normalizers.BertNormalizer(lowercase=True)):
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, word.lower(): 1}, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, pre_tokenizers.Whitespace()
    tokens = {text: tokenizer.encode(text).tokens for text in (word, word.lower())}
    print(type(normalizer).__name__, normalizer.normalize_str(word), "- Python:", word.lower(), "- tokens:", tokens)
    same &= tokens == {word: ["[UNK]"], word.lower(): [word.lower()]}
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
