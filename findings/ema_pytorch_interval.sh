#!/usr/bin/env bash
# What: the memory of ema-pytorch's average grows with update_every. The decay beta is applied at each update and not converted to
# steps: with beta 0.99 and an update every 10 steps, its default, the average remembers 1000 steps instead of 100. One expects
# update_every to save time and leave the average as it is, since beta is the decay of one step of training where every step
# updates.
# Versions: ema-pytorch 0.8.3, torch 2.15.0. The installation takes some gigabytes.
# A user meets it when a decay is taken over from a paper or another library, where an update belongs to every step: the average
# lags ten times as far behind.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check ema-pytorch==0.8.3 torch==2.15.0 numpy==2.4.6
"$folder/bin/pip" freeze | grep -iE '^(ema-pytorch|torch|numpy)=='
cd "$folder"
bin/python -W ignore - <<'PY'
import torch
from ema_pytorch import EMA


def reached(**options):
    """How far the average follows a weight in the 100 steps after the weight has gone from 0 to 1."""
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(model.weight)
    average = EMA(model, beta=0.99, update_after_step=0, **options)
    for _ in range(2000):  # the decay rises to beta in the first thousand steps
        average.update()
    torch.nn.init.ones_(model.weight)
    for _ in range(100):
        average.update()
    return average.ema_model.weight.item(), average.get_current_decay()


seen = {}
for name, options in {"every step": {"update_every": 1}, "every 10 steps": {"update_every": 10}, "by default": {}}.items():
    seen[name], decay = reached(**options)
    print(f"updated {name:14}: decay {float(decay):.3f}, after 100 steps the average is {seen[name]:.3f}")
print(f"0.99 for 100 steps: {1 - 0.99**100:.3f}; 0.99 for 10 steps: {1 - 0.99**10:.3f}")
same = abs(seen["every step"] - 0.634) < 0.01 and abs(seen["every 10 steps"] - 0.0956) < 0.01
same = same and seen["by default"] == seen["every 10 steps"]

print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
