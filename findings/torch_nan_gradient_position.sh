#!/usr/bin/env bash
# What: the gradient of elu and of hardtanh at NaN depends on the position of the NaN in the tensor. The part of a tensor
# that is computed in whole vectors gets one value, and the remaining elements get another.
# Versions: torch 2.15.0 on an x86-64 CPU with AVX2 or AVX-512, numpy 2.4.6. The installation takes some gigabytes.
# A user meets it when comparing gradients of two batches with the same NaN at different positions, or when a check for NaN
# in gradients passes for one batch size and fails for another.
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
torch.set_num_threads(1)
nan = float("nan")
def slopes(function, length):
    x = torch.full((length,), nan, requires_grad=True)
    function(x).sum().backward()
    return x.grad
seen = {}
for name, function in [("elu", torch.nn.functional.elu), ("hardtanh", torch.nn.functional.hardtanh)]:
    grad = slopes(function, 37)
    seen[name] = sorted({str(v) for v in grad.tolist()})
    print(f"{name}: the gradients of 37 equal NaN: {seen[name]}; the first {grad[0].item()}, the last {grad[-1].item()}")
same = all(len(values) == 2 for values in seen.values())
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
