#!/usr/bin/env bash
# What: in timm's RandAugment a greater magnitude is not a stronger change. Brightness and contrast run from 0.1 at magnitude 0 to
# 1.9 at 10, so that 5 changes nothing and 1 darkens by seven tenths. Solarize and Posterize are weakest at 10. One expects the
# change to grow from none at 0, as in torchvision's RandAugment, because the magnitude is the strength of the method's paper.
# Versions: timm 1.0.31, torchvision 0.29.2, torch 2.15.0, pillow 13.0.0. The installation takes some gigabytes.
# A user meets it when small pictures or fine-tuning ask for a weak augmentation: rand-m3 changes brightness and contrast far more
# than rand-m5, and a search over magnitudes finds no order. The policy with inc1 in its name, such as rand-m3-inc1, grows.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check timm==1.0.31 torchvision==0.29.2 torch==2.15.0 pillow==13.0.0 numpy==2.4.6
"$folder/bin/pip" freeze | grep -iE '^(timm|torchvision|torch|pillow|numpy)=='
cd "$folder"
bin/python -W ignore - <<'PY'
import numpy as np
import torch
from PIL import Image
from timm.data.auto_augment import AugmentOp
from torchvision.transforms.v2 import RandAugment

pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
picture = Image.fromarray(pixels).convert("RGB")


def change(transformed):
    return np.abs(np.asarray(transformed).astype(int) - np.asarray(picture)).mean()


magnitudes = (3, 5, 7, 10)
seen = {}
print("mean change of a pixel at the magnitudes", *magnitudes)
for name in ("Brightness", "Contrast", "Solarize", "Posterize", "BrightnessIncreasing", "SolarizeIncreasing"):
    seen[name] = [np.mean([change(AugmentOp(name, prob=1, magnitude=m)(picture)) for _ in range(20)]) for m in magnitudes]
    print(f"timm {name:22}", *(f"{one:6.1f}" for one in seen[name]))
torch.manual_seed(0)
everything = [np.mean([change(RandAugment(num_ops=1, magnitude=m)(picture)) for _ in range(400)]) for m in (0, *magnitudes)]
print("torchvision, all operations, from magnitude 0:", *(f"{one:6.1f}" for one in everything))
valley = all(seen[name][0] > 10 and seen[name][1] < 1 and seen[name][3] > 10 for name in ("Brightness", "Contrast"))
falling = all(seen[name] == sorted(seen[name], reverse=True) for name in ("Solarize", "Posterize"))
rising = seen["SolarizeIncreasing"] == sorted(seen["SolarizeIncreasing"]) and everything == sorted(everything)
same = valley and falling and rising and everything[0] < 1

print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
