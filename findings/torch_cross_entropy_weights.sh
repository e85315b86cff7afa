#!/usr/bin/env bash
# What: torch's cross_entropy with class weights gives another mean for the same labels when they are one-hot rows instead of
# indices. With indices the sum is divided by the weights of the labels, with rows by the number of examples.
# Versions: torch 2.15.0, numpy 2.4.6. The installation takes some gigabytes.
# A user meets it when labels become rows for distillation, mixup or soft labels: with weights of ten, the loss and all
# gradients are several times what they were, as if the learning rate had been raised.
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

cross_entropy = torch.nn.functional.cross_entropy
logits = torch.tensor([[2.0, 1.0, 0.0], [0.0, 1.0, 0.5]])
labels = torch.tensor([0, 2])
rows = torch.nn.functional.one_hot(labels, 3).float()
weights = torch.tensor([10.0, 1.0, 1.0])
seen = {}
for name, weight in (("without weights", None), ("with weights", weights)):
    seen[name] = [cross_entropy(logits, target, weight=weight).item() for target in (labels, rows)]
    print(name, "- indices, rows:", [round(loss, 4) for loss in seen[name]])
sums = [cross_entropy(logits, target, weight=weights, reduction="sum").item() for target in (labels, rows)]
print("sums with weights:", [round(loss, 4) for loss in sums])
close = lambda a, b: abs(a - b) < 1e-5
same = (close(*seen["without weights"]) and close(*sums) and close(seen["with weights"][0], sums[0] / 11)
        and close(seen["with weights"][1], sums[1] / 2))
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
