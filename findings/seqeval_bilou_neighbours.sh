#!/usr/bin/env bash
# What: seqeval's scores take two entities of one kind that stand beside each other for a single one if the tags are of the BILOU
# scheme. The default mode knows the prefixes B, I, E, S and O, and takes U and L for a continuation. Nothing is said about it.
# Versions: seqeval 1.2.2, scikit-learn 1.9.1, numpy 2.4.6.
# A user meets it with spaCy's tags: a model that joins two names into one still scores 1.0, and one that finds an extra name
# beside a true one is only told of a wrong border. The strict mode with scheme=BILOU counts right.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check setuptools seqeval==1.2.2 scikit-learn==1.9.1 numpy==2.4.6
"$folder/bin/pip" freeze | grep -iE '^(seqeval|scikit-learn|numpy)=='
cd "$folder"
bin/python -W ignore - <<'PY'
from seqeval.metrics import f1_score
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import BILOU

true = ["U-city", "U-city", "O"]    # two cities
joined = ["B-city", "L-city", "O"]  # one city of two words
print("entities of", true, ":", get_entities(true))
default = f1_score([true], [joined])
strict = f1_score([true], [joined], mode="strict", scheme=BILOU)
print(f"two cities taken for one: F1 {default:.2f} by default, {strict:.2f} in the strict mode")
same = len(get_entities(true)) == 1 and default == 1.0 and strict == 0.0
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
