#!/usr/bin/env bash
# What: ReduceLROnPlateau takes a loss below zero that gets worse for an improvement. Its relative threshold multiplies the
# best value by 1 - threshold. This makes a positive value smaller and a negative one greater, so that a loss that rises by
# less than this each time counts as the best one and moves the mark up.
# Versions: torch 2.15.0, numpy 2.4.6. The installation takes some gigabytes.
# A user meets it with log densities, ELBOs or negated scores: the loss rises for fifty epochs and the rate is never reduced.
# The same loss plus a constant has its rate reduced many times. threshold_mode="abs" does not have this.
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


def final_rate(first, growth, **options):
    """The learning rate after fifty epochs in which the loss rises."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=2, threshold=0.01, **options)
    for epoch in range(50):
        plateau.step(first + growth * epoch)
    return optimizer.param_groups[0]["lr"]


rates = [final_rate(-10, 0.05), final_rate(10, 0.05), final_rate(-10, 0.05, threshold_mode="abs")]
print("the loss rises from -10 to -7.55:", rates[0])
print("the loss rises from 10 to 12.45:", rates[1])
print("the loss rises from -10 to -7.55, absolute threshold:", rates[2])
same = rates[0] == 1.0 and rates[1] < 1e-5 and rates[2] < 1e-5
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
