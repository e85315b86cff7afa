#!/usr/bin/env bash
# What: a learning rate that is set by hand between two schedules of torch.optim is kept or lost by the kind of the second
# one. LambdaLR, and with it the schedules of transformers, goes back to the rate that the first schedule began with, which
# the optimizer still has as initial_lr. ExponentialLR and CosineAnnealingLR begin with the rate that was set.
# Versions: torch 2.15.0, numpy 2.4.6. The installation takes some gigabytes.
# A user meets it in a second phase of a training with a rate a hundred times lower and a warm-up: it runs with the first
# phase's rate. The number that was set is overwritten when the schedule is made.
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

schedules = torch.optim.lr_scheduler
makers = {"LambdaLR": lambda o: schedules.LambdaLR(o, lambda step: 1.0),
          "ExponentialLR": lambda o: schedules.ExponentialLR(o, 1.0),
          "CosineAnnealingLR": lambda o: schedules.CosineAnnealingLR(o, 1000)}
seen = {}
for name, make in makers.items():
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    first = schedules.ExponentialLR(optimizer, 0.9)
    for _ in range(3):
        optimizer.step()
        first.step()
    optimizer.param_groups[0]["lr"] = 0.001
    second = make(optimizer)
    optimizer.step()
    second.step()
    seen[name] = round(optimizer.param_groups[0]["lr"], 6)
    print(f"the rate 0.001 was set; after a step of {name} it is", seen[name])
same = seen == {"LambdaLR": 0.1, "ExponentialLR": 0.001, "CosineAnnealingLR": 0.001}
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
