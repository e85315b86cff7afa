#!/usr/bin/env bash
# What: one infinite gradient makes clip_grad_norm_ of torch set all other gradients to zero and this one to NaN. The norm is
# infinite, the factor 1 / infinity is 0, and infinity times 0 is NaN. One NaN, instead, makes all gradients NaN.
# Versions: torch 2.15.0, numpy 2.4.6. The installation takes some gigabytes.
# A user meets it when one layer overflows: that layer's weights become NaN, while all others are finite and unchanged, so a
# look at a few parameters or at the sum of their gradients shows nothing. Adam moves them on by its old moments.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check torch==2.15.0 numpy==2.4.6
"$folder/bin/pip" freeze | grep -iE '^(torch|numpy)=='
cd "$folder"
bin/python - <<'PY'
import torch


def clipped(value):
    parameters = [torch.zeros(2, requires_grad=True) for _ in range(3)]
    for parameter, gradient in zip(parameters, ([1.0, 2.0], [value, 1.0], [3.0, 4.0])):
        parameter.grad = torch.tensor(gradient)
    torch.nn.utils.clip_grad_norm_(parameters, 1.0)
    return [[str(v) for v in parameter.grad.tolist()] for parameter in parameters]


seen = {value: clipped(float(value)) for value in ("inf", "nan")}
for value, gradients in seen.items():
    print("one gradient is", value, "- clipped:", gradients)
same = seen == {"inf": [["0.0", "0.0"], ["nan", "0.0"], ["0.0", "0.0"]], "nan": [["nan", "nan"]] * 3}
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
