#!/usr/bin/env bash
# What: after a vector of gensim's KeyedVectors is replaced, most_similar() answers similarities above 1. The lengths of the
# vectors are computed at the first search and kept when a vector is replaced, so its new direction is divided by its old
# length. similarity() of the same two words is right. One expects a cosine between -1 and 1 and the same number from both.
# Versions: gensim 4.4.0, numpy 2.4.6.
# A user meets it by updating embeddings of a served table between two searches: the updated word is the nearest of every word,
# if it has become longer. fill_norms(force=True) brings the lengths up to date.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check gensim==4.4.0 numpy==2.4.6 scipy==1.17.1
"$folder/bin/pip" freeze | grep -iE '^(gensim|numpy|scipy)=='
cd "$folder"
bin/python -W ignore - <<'PY'
import numpy as np
from gensim.models import KeyedVectors

table = KeyedVectors(2)
table.add_vectors(["film", "movie", "stone"], np.array([[1, 0], [1, 0.2], [0, 1]], np.float32))


def of_stone():
    """What a search answers for stone beside film, and what similarity() does."""
    return round(dict(table.most_similar("film"))["stone"], 3), round(float(table.similarity("film", "stone")), 3)


seen = [of_stone()]
table["stone"] = np.array([30, 40], np.float32)
seen.append(of_stone())
print("best match of film:", table.most_similar("film")[0])
table.fill_norms(force=True)
seen.append(of_stone())
for name, (search, pair) in zip(("first", "after stone = (30, 40)", "after fill_norms(force=True)"), seen, strict=True):
    print(f"{name:28}: film and stone by most_similar {search}, by similarity {pair}")
same = seen == [(0, 0), (30, 0.6), (0.6, 0.6)]

print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
