#!/usr/bin/env bash
# What: in scikit-learn the macro recall and the balanced accuracy of the same answers differ, although the latter is described
# as the average of the recalls of all classes. A label that is only predicted and never true has no recall. The macro recall
# counts it as 0, and balanced accuracy leaves it out.
# Versions: scikit-learn 1.9.1, numpy 2.4.6.
# A user meets it on a test set that lacks a label: one such error among twenty texts takes the macro recall from 0.95 to 0.63,
# and the score of a part of a test set depends on which labels are predicted in this part.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check scikit-learn==1.9.1 numpy==2.4.6
"$folder/bin/pip" freeze | grep -iE '^(scikit-learn|numpy)=='
cd "$folder"
bin/python -W ignore - <<'PY'
from sklearn.metrics import balanced_accuracy_score, recall_score

true = ["good"] * 10 + ["bad"] * 10
seen = {}
for wrong in ("bad", "neutral"):
    answers = ["good"] * 9 + [wrong] + ["bad"] * 10
    seen[wrong] = [float(recall_score(true, answers, average="macro", zero_division=0)),
                   float(balanced_accuracy_score(true, answers))]
    print(f"one of 20 is called {wrong}: macro recall {seen[wrong][0]:.3f}, balanced accuracy {seen[wrong][1]:.3f}")
close = lambda a, b: abs(a - b) < 1e-9
same = (close(seen["bad"][0], 0.95) and close(seen["bad"][1], 0.95)
        and close(seen["neutral"][0], 1.9 / 3) and close(seen["neutral"][1], 0.95))
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
