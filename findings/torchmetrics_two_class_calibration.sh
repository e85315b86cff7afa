#!/usr/bin/env bash
# What: torchmetrics has two calibration errors for a classifier of two classes. The binary metric compares the probability of
# class 1 with the share of class 1. The multi-class metric compares the probability of the predicted class with the accuracy. A
# model whose probabilities of yes are all 0.1 too low has the errors 0.1 and 0. One expects them to be equal, since both are
# called expected calibration error and get the same predictions.
# Versions: torchmetrics 1.9.0, torch 2.15.0. The installation takes some gigabytes.
# A user meets it when a head with one logit is replaced by one with two: calibration seems to become better or worse by the form
# of the output alone. Predictions that lean to one class are seen by the binary metric only.
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
from torchmetrics.classification import BinaryCalibrationError, MulticlassCalibrationError

# Nine of ten texts with the probability 0.8 are of class 1, and three of ten with 0.2.
yes = torch.tensor([0.8] * 10 + [0.2] * 10)
labels = torch.tensor([1] * 9 + [0] + [1] * 3 + [0] * 7)
binary = BinaryCalibrationError(n_bins=10)(yes, labels).item()
two_classes = MulticlassCalibrationError(num_classes=2, n_bins=10)(torch.stack([1 - yes, yes], 1), labels).item()
print(f"calibration error of the same predictions: binary {binary:.3f}, of two classes {two_classes:.3f}")
same = abs(binary - 0.1) < 1e-3 and two_classes < 1e-3

print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
