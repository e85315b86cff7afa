#!/usr/bin/env bash
# What: log_loss of scikit-learn depends on the dtype of the probabilities. A probability of 0 counts as the machine epsilon
# of its dtype, so that one certain error costs 36.0 in float64, 15.9 in float32 and 6.9 in float16. The numbers that are
# compared are the same to the bit.
# Versions: scikit-learn 1.9.1, numpy 2.4.6.
# A user meets it when one of two models gives its probabilities as lists or float64 and the other as a network's float32:
# with a few certain errors the second has half the loss, and early stopping or a comparison prefers it.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check scikit-learn==1.9.1 numpy==2.4.6
"$folder/bin/pip" freeze | grep -iE '^(scikit-learn|numpy)=='
cd "$folder"
bin/python - <<'PY'
import numpy
from sklearn.metrics import log_loss

probabilities = numpy.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 0.0]])
labels = [0, 1, 0, 1]  # the last one is wrong
losses = {kind: 4 * float(log_loss(labels, probabilities.astype(kind))) for kind in ("float64", "float32", "float16")}
for kind, loss in losses.items():
    print(f"{kind}: the certain error costs {loss:.2f}, -log(epsilon) is {-numpy.log(float(numpy.finfo(kind).eps)):.2f}")
wanted = {"float64": 36.04, "float32": 15.94, "float16": 6.93}
same = all(abs(losses[kind] - value) < 0.05 for kind, value in wanted.items())
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
