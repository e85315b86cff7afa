#!/usr/bin/env bash
# What: BM25Okapi of rank_bm25 can rank documents with the searched word below those without it. A word in more than half of the
# documents would get a negative weight, so it gets a quarter of the mean weight of all words instead, which is meant to be a
# small positive number. The mean counts the negative weights too, and where many words are common it is negative itself. A word
# in just half of the documents weighs 0, so that in a collection of two documents no word in one of them is found. One expects
# a document with the word to score higher than one without, as with BM25L of the same package.
# Versions: rank-bm25 0.2.2, numpy 2.4.6.
# A user meets it in small or uniform collections, such as the passages of one manual, which share most of their words: the
# search for one of those words puts the only documents without it first.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check rank-bm25==0.2.2 numpy==2.4.6
"$folder/bin/pip" freeze | grep -iE '^(rank-bm25|numpy)=='
cd "$folder"
bin/python -W ignore - <<'PY'
from rank_bm25 import BM25L, BM25Okapi

texts = ["the pump is on", "the pump is off", "the pump is hot", "the valve is on"]
words = [text.split() for text in texts]
seen = {}
for search in (BM25Okapi, BM25L):
    seen[search] = [round(float(score), 3) for score in search(words).get_scores(["pump"])]
    print(f"{search.__name__:9} scores of 'pump':", dict(zip(texts, seen[search], strict=True)))
mean = BM25Okapi(words).average_idf
two = BM25Okapi([["red", "apple"], ["green", "pear"]]).get_scores(["apple"]).tolist()
print(f"mean weight of a word: {mean:.3f}; scores of 'apple' in 'red apple' and 'green pear': {two}")
same = max(seen[BM25Okapi][:3]) < seen[BM25Okapi][3] == 0 and min(seen[BM25L][:3]) > seen[BM25L][3] == 0 and two == [0, 0]

print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
