#!/usr/bin/env bash
# What: pytrec_eval sees no difference between two scores that agree in their first seven digits. It takes the scores, which are
# Python floats, as 32-bit ones, and of equal scores the document whose name is greater comes first. A run that ranks the
# relevant document first then has a reciprocal rank of 1/2, or of 1 once the documents exchange their names. One expects the
# order of the scores that were given.
# Versions: pytrec-eval-terrier 0.5.11, numpy 2.4.6.
# A user meets it with scores that lie close together, such as probabilities near 1, sums of many log-probabilities, or times at
# which newer documents come first: the measure changes by the names of the documents, and a rank in the place of the score
# would not.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check pytrec-eval-terrier==0.5.11 numpy==2.4.6
"$folder/bin/pip" freeze | grep -iE '^(pytrec.eval.terrier|numpy)=='
cd "$folder"
bin/python -W ignore - <<'PY'
import pytrec_eval


def reciprocal_rank(relevant, other, good, bad):
    run = {"question": {relevant: good, other: bad}}
    evaluator = pytrec_eval.RelevanceEvaluator({"question": {relevant: 1, other: 0}}, {"recip_rank"})
    return evaluator.evaluate(run)["question"]["recip_rank"]


seen = []
for good, bad in ((0.9999999, 0.9999998), (0.99999999, 0.99999998), (1700000001.0, 1700000000.0)):
    seen.append((reciprocal_rank("a", "b", good, bad), reciprocal_rank("b", "a", good, bad)))
    print(f"relevant {good!r}, other {bad!r}: reciprocal rank {seen[-1][0]} if the relevant is named a, {seen[-1][1]} if b")
same = seen == [(1, 1), (0.5, 1), (0.5, 1)]

print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
