#!/usr/bin/env bash
# What: gensim's Jaccard distance between a bag of words and itself is 0.5. For vectors of (word, weight) it divides the shared
# weight by the weights of both vectors together, without taking the shared part away once, so it never falls below 0.5. For
# lists and sets of words the same function does take it away and answers 0. One expects 0 for equal texts in both forms.
# Versions: gensim 4.4.0, numpy 2.4.6.
# A user meets it when near-duplicates are dropped below a distance such as 0.2: with bags of words none is ever found.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check gensim==4.4.0 numpy==2.4.6 scipy==1.17.1
"$folder/bin/pip" freeze | grep -iE '^(gensim|numpy|scipy)=='
cd "$folder"
bin/python -W ignore - <<'PY'
from gensim.corpora import Dictionary
from gensim.matutils import jaccard

texts = [["red", "apple"], ["red", "apple"], ["red", "pear"], ["green", "grape"]]
dictionary = Dictionary(texts)
seen = []
for text in texts[1:]:
    bags = [dictionary.doc2bow(one) for one in (texts[0], text)]
    seen.append((round(jaccard(*bags), 3), round(jaccard(texts[0], text), 3)))
    print(f"{texts[0]} and {text}: distance of the bags {seen[-1][0]}, of the lists of words {seen[-1][1]}")
same = seen == [(0.5, 0), (0.75, 0.667), (1, 1)]

print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
