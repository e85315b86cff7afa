#!/usr/bin/env bash
# What: a translation that is equal to its reference has a BLEU of 1.12 by smoothing methods 5 and 7 of NLTK. Method 5 replaces
# the share of matching word groups of each length by the mean of it and of its two neighbours. For the shortest it takes 1
# above the share of single words for the length before it, so a perfect score is exceeded. One expects at most 1, as by the
# other methods and without any.
# Versions: nltk 3.10.4.
# A user meets it when scores are compared, averaged or used as a reward between 0 and 1: the mean over sentences is lifted, and
# the order of two systems can turn.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check nltk==3.10.4
"$folder/bin/pip" freeze | grep -iE '^(nltk)=='
cd "$folder"
bin/python -W ignore - <<'PY'
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

reference = "the cat sat on the mat".split()
seen = {}
for method in range(8):
    smoothing = getattr(SmoothingFunction(), f"method{method}")
    seen[method] = round(sentence_bleu([reference], reference, smoothing_function=smoothing), 3)
    print(f"equal translation by method {method}: {seen[method]}")
same = all(value == (1.117 if method in (5, 7) else 1) for method, value in seen.items())

print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
