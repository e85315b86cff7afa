#!/usr/bin/env bash
# What: reading a tokenizer.json changes the last bit of about one Unigram score in twelve. The file is JSON with the shortest
# digits of each double; the reader rounds the digits and the power of ten one after the other. Saving and loading again
# changes no more, and a tokenizer built from the same scores in Python has the exact ones.
# Versions: tokenizers 0.23.3.
# A user meets it when another program tokenizes with the same file: where two paths have equal sums of scores, as rare pieces
# with one score have, the last bit decides which ids come out.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check tokenizers==0.23.3
"$folder/bin/pip" freeze
cd "$folder"
bin/python - <<'PY'
import json
import random

from tokenizers import Tokenizer, models

random.seed(1)
pieces = [("<unk>", 0.0)] + [(f"piece{i}", -10 * random.random()) for i in range(2000)]
built = Tokenizer(models.Unigram(pieces, 0))


def scores(tokenizer):
    return [score for _, score in json.loads(tokenizer.to_str())["model"]["vocab"]]


exact = [score for _, score in pieces]
read = scores(Tokenizer.from_str(built.to_str()))
changed = sum(a != b for a, b in zip(exact, read))
print(f"built: {sum(a != b for a, b in zip(exact, scores(built)))} of {len(exact)} scores changed; read: {changed}")
same = scores(built) == exact and 50 < changed < 500
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
