#!/usr/bin/env bash
# What: with torch.optim.Muon a matrix of more columns than rows takes smaller steps than its transpose. By the same gradients a
# weight of 1024 x 64 moves four times as far as one of 64 x 1024. One expects transposed weights with transposed gradients to
# take transposed steps, as with SGD and Adam, because the method orthogonalises the gradient, and the orthogonal factor of a
# transpose is the transpose.
# Versions: torch 2.15.0. The installation takes some gigabytes.
# A user meets it when a layer is stored the other way round, as linear layers (out x in) and GPT-2's Conv1D (in x out) are, or
# when a checkpoint is converted: the same rate trains another model. adjust_lr_fn="match_rms_adamw" takes equal steps.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check torch==2.15.0 numpy==2.4.6
"$folder/bin/pip" freeze | grep -iE '^(torch|numpy)=='
cd "$folder"
bin/python -W ignore - <<'PY'
import torch

torch.manual_seed(0)
gradient = torch.randn(64, 1024)


def step(make, gradient):
    weight = torch.zeros_like(gradient, requires_grad=True)
    weight.grad = gradient.clone()
    make([weight]).step()
    return weight.detach()


makers = {
    "Muon": lambda p: torch.optim.Muon(p, lr=0.01, weight_decay=0),
    "Muon, match_rms_adamw": lambda p: torch.optim.Muon(p, lr=0.01, weight_decay=0, adjust_lr_fn="match_rms_adamw"),
    "SGD": lambda p: torch.optim.SGD(p, lr=0.01),
    "Adam": lambda p: torch.optim.Adam(p, lr=0.01),
}
seen = {}
for name, make in makers.items():
    wide, tall = step(make, gradient), step(make, gradient.T.contiguous())
    seen[name] = (tall.norm() / wide.norm()).item()
    print(f"{name:22} 64 x 1024 moves by {wide.norm():7.3f}, its transpose by {tall.norm():7.3f}")
others = all(abs(ratio - 1) < 0.02 for name, ratio in seen.items() if name != "Muon")
same = abs(seen["Muon"] - 4) < 0.1 and others

print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
