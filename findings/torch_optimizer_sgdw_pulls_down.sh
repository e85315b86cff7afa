#!/usr/bin/env bash
# What: the weight decay of torch_optimizer's SGDW does not shrink weights. It takes the decay itself, times the rate, from
# every weight: all move towards minus infinity at the same speed, the negative ones away from zero. One expects each weight to
# shrink in proportion to itself, as the paper of the method and the decoupled decay of AdamW do.
# Versions: torch-optimizer 0.3.0, torch 2.15.0. The installation takes some gigabytes.
# A user meets it as a regularisation that does nothing for the size of the weights and shifts their mean, more so the longer
# the training.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check torch-optimizer==0.3.0 torch==2.15.0 numpy==2.4.6
"$folder/bin/pip" freeze | grep -iE '^(torch-optimizer|torch|numpy)=='
cd "$folder"
bin/python -W ignore - <<'PY'
import torch
import torch_optimizer


def after(make, steps=100):
    """The weights after steps without any gradient."""
    weights = torch.nn.Parameter(torch.tensor([-2.0, 0.0, 2.0]))
    optimizer = make([weights])
    for _ in range(steps):
        weights.grad = torch.zeros_like(weights)
        optimizer.step()
    return weights.detach()


makers = {
    "torch.optim.AdamW": lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1),
    "torch.optim.SGD": lambda p: torch.optim.SGD(p, lr=0.01, weight_decay=0.1),
    "torch_optimizer.AdaBound": lambda p: torch_optimizer.AdaBound(p, lr=0.01, weight_decay=0.1),
    "torch_optimizer.SGDW": lambda p: torch_optimizer.SGDW(p, lr=0.01, weight_decay=0.1),
}
seen = {name: after(make) for name, make in makers.items()}
for name, weights in seen.items():
    print(f"{name:24} weights -2, 0, 2 after 100 steps of decay alone: {[round(weight, 3) for weight in weights.tolist()]}")
shrink = all(-2 < w[0] < 0 == w[1] < w[2] < 2 for w in (w.tolist() for name, w in seen.items() if name[-4:] != "SGDW"))
same = shrink and torch.allclose(seen["torch_optimizer.SGDW"], torch.tensor([-2.1, -0.1, 1.9]), atol=1e-4)

print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
