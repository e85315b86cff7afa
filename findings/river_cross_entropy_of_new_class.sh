#!/usr/bin/env bash
# What: The cross-entropy of river is 0, the best there is, for a class that the prediction does not name. A prediction of the
# probabilities of two classes scores 0 when the third class comes, and 4.6 if the same prediction names the third with 0.01.
# One expects a probability of 0, and with it a very large loss, as a probability of 0 that is named has, or an error.
# Versions: river 0.26.1.
# A user meets it with any online classifier of river: predict_proba_one names only the classes seen so far, so each new class
# improves the mean loss, and a model that has learned nothing and predicts an empty dictionary is perfect.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check river==0.26.1
"$folder/bin/pip" freeze | grep -iE '^(river)=='
cd "$folder"
bin/python -W ignore - <<'PY'
from river import metrics, naive_bayes

predictions = {"not named": {"cat": 0.7, "dog": 0.3}, "named with 0.01": {"cat": 0.7, "dog": 0.29, "owl": 0.01},
               "named with 0": {"cat": 0.7, "dog": 0.3, "owl": 0.0}}  # fmt: skip
seen = []
for name, prediction in predictions.items():
    metric = metrics.CrossEntropy()
    metric.update("owl", prediction)
    seen.append(metric.get())
    print(f"the true class is {name:15}: loss {seen[-1]:.2f}")
model, metric = naive_bayes.GaussianNB(), metrics.CrossEntropy()
for place, kind in enumerate(["cat", "dog", "owl", "eel"]):  # each class is new
    metric.update(kind, model.predict_proba_one({"x": float(place)}))
    model.learn_one({"x": float(place)}, kind)
print(f"a model that meets a new class each time: loss {metric.get():.2f}")
same = seen[0] == 0 and 4.6 < seen[1] < 4.61 and seen[2] > 10 and metric.get() == 0

print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
