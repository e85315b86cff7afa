#!/usr/bin/env bash
# What: the weighted kappa of scikit-learn measures distances between the places of labels in a sorted list, not between the labels.
# A rating that nobody gave is not in the list, so that 2 and 4 are neighbours where no 3 occurs. Names of ratings are sorted by the
# alphabet: "high" and "low" are neighbours, and "medium" is at the end.
# Versions: scikit-learn 1.9.1, numpy 2.4.6.
# A user meets it on a small test set, or by comparing two models on parts of one: the same confusions count differently by
# whether a rating occurs. The argument labels with all ratings in order gives the kappa that is meant.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check scikit-learn==1.9.1 numpy==2.4.6
"$folder/bin/pip" freeze | grep -iE '^(scikit-learn|numpy)=='
cd "$folder"
bin/python - <<'PY'
from sklearn.metrics import cohen_kappa_score

truth, answers = [1, 2, 4, 4, 5], [1, 2, 5, 4, 4]
seen, meant = (cohen_kappa_score(truth, answers, weights="quadratic", labels=labels) for labels in (None, [1, 2, 3, 4, 5]))
print(f"ratings 1 to 5, nobody gave a 3: quadratic kappa {seen:.2f}, with all ratings as labels {meant:.2f}")
order = ["low", "medium", "high"]
truth, answers = ["low", "medium", "high", "high"], ["low", "high", "high", "medium"]
names, right = (cohen_kappa_score(truth, answers, weights="linear", labels=labels) for labels in (None, order))
print(f"names of ratings: linear kappa {names:.2f}, with the ratings in order as labels {right:.2f}")
same = round(seen, 2) == 0.81 and round(meant, 2) == 0.91 and round(names, 2) == -0.14 and round(right, 2) == 0.43
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
