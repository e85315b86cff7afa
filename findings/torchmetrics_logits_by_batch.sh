#!/usr/bin/env bash
# What: the accuracy of the same logits depends on how they are divided into batches. torchmetrics' binary and multi-label metrics
# take a batch for probabilities if all its numbers lie between 0 and 1, and for logits otherwise. A logit of 0.4 thus means yes
# (0.4 > 0) in one batch and no (0.4 < 0.5) in another. One expects one meaning for all batches of a metric, because updates are
# to give the result of one update with everything.
# Versions: torchmetrics 1.9.0, torch 2.15.0. The installation takes some gigabytes.
# A user meets it with an untrained or well regularised model, whose logits are near zero, and most with small batches, such as
# the last one of an epoch: the measure changes with the batch size of the evaluation.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check torchmetrics==1.9.0 torch==2.15.0 numpy==2.4.6
"$folder/bin/pip" freeze | grep -iE '^(torchmetrics|torch|numpy)=='
cd "$folder"
bin/python -W ignore - <<'PY'
import torch
from torchmetrics.classification import BinaryAccuracy, BinaryF1Score

logits = torch.tensor([0.2, 0.4, 0.3, 0.1, -2.0, 3.0, -1.0, 0.6])
labels = torch.tensor([1, 1, 1, 1, 0, 1, 0, 1])


def measured(metric, size):
    for batch, target in zip(logits.split(size), labels.split(size)):
        metric.update(batch, target)
    return metric.compute().item()


seen = {}
for size in (8, 4, 1):
    seen[size] = measured(BinaryAccuracy(), size)
    print(f"batches of {size}: accuracy {seen[size]:.3f}, F1 {measured(BinaryF1Score(), size):.3f}")
right = ((logits > 0).long() == labels).float().mean().item()
print(f"by the sign of the logits: accuracy {right:.3f}")
same = right == 1 and seen[8] == 1 and seen[4] == 0.5 and seen[1] < 1

print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
