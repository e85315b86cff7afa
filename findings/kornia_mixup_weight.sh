#!/usr/bin/env bash
# What: the weight that kornia's RandomMixUpV2 returns with the labels is that of the other picture. A row of its labels is the
# picture's own label, the other's label and the weight, and the loss is (1 - weight) * own + weight * other. One expects weight *
# own + (1 - weight) * other, as in the paper of mixup (Zhang et al. 2018), and as the labels of torchvision and timm are mixed.
# Versions: kornia 0.9.0, torchvision 0.29.2, torch 2.15.0. The installation takes some gigabytes.
# A user meets it when a training loop is moved to kornia: pictures that are nine tenths a cat are taught as one tenth of a cat.
# Weights are drawn alike from both ends, so that neither their mean nor a histogram shows it, and the training still converges.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check kornia==0.9.0 torchvision==0.29.2 torch==2.15.0 numpy==2.4.6
"$folder/bin/pip" freeze | grep -iE '^(kornia|torchvision|torch|numpy)=='
cd "$folder"
bin/python -W ignore - <<'PY'
import torch
from kornia.augmentation import RandomMixUpV2
from torchvision.transforms.v2 import MixUp

torch.manual_seed(0)
labels = torch.arange(4)
pictures = labels.float().reshape(4, 1, 1, 1)  # a picture's brightness is its label
mix = RandomMixUpV2(lambda_val=torch.tensor([0.9, 0.9]), p=1.0, data_keys=["input", "class"])
mixed, rows = mix(pictures, labels)
right = wrong = 0
for pixel, (own, other, weight) in zip(mixed.flatten().tolist(), rows.tolist()):
    print(f"labels {own:.0f} and {other:.0f}, weight {weight:.1f}: the picture is {pixel:.1f}")
    right += abs(pixel - ((1 - weight) * own + weight * other)) < 1e-5
    wrong += abs(pixel - (weight * own + (1 - weight) * other)) > 1e-5
mixed, shares = MixUp(num_classes=4)(pictures, labels)
agrees = torch.allclose((shares * labels).sum(1), mixed.flatten(), atol=1e-5)
print("torchvision: each picture is the mean of its labels:", agrees)
same = right == 4 and wrong > 0 and agrees

print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
