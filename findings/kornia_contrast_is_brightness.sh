#!/usr/bin/env bash
# What: kornia's RandomContrast and adjust_contrast multiply the picture by the factor, which is what brightness means in
# torchvision and Pillow. kornia's RandomBrightness and adjust_brightness add a number. The contrast of kornia's ColorJitter,
# though, is torchvision's. One expects a factor of contrast to move pixels to or from the picture's mean and to leave the mean as
# it is, because both the word and the range of the factor are torchvision's.
# Versions: kornia 0.9.0, torchvision 0.29.2, torch 2.15.0. The installation takes some gigabytes.
# A user meets it when transforms are moved to kornia for speed: contrast of 0.5 to 1.5 makes pictures dark or overexposed, and
# ColorJitter with the same numbers does not.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check kornia==0.9.0 torchvision==0.29.2 torch==2.15.0 numpy==2.4.6
"$folder/bin/pip" freeze | grep -iE '^(kornia|torchvision|torch|numpy)=='
cd "$folder"
bin/python -W ignore - <<'PY'
import kornia
import torch
from torchvision.transforms.v2 import functional

picture = torch.tensor([0.2, 0.4, 0.6, 0.4]).reshape(1, 1, 2, 2).repeat(1, 3, 1, 1)
seen = {
    "kornia RandomContrast": kornia.augmentation.RandomContrast(contrast=(0.5, 0.5), p=1.0)(picture),
    "kornia adjust_contrast": kornia.enhance.adjust_contrast(picture, 0.5),
    "torchvision adjust_brightness": functional.adjust_brightness(picture, 0.5),
    "kornia ColorJitter, contrast": kornia.augmentation.ColorJitter(contrast=(0.5, 0.5), p=1.0)(picture),
    "torchvision adjust_contrast": functional.adjust_contrast(picture, 0.5),
}
print(f"{'picture':30}", [round(pixel, 2) for pixel in picture[0, 0].flatten().tolist()], f"mean {picture.mean():.2f}")
for name, result in seen.items():
    print(f"{name:30}", [round(pixel, 2) for pixel in result[0, 0].flatten().tolist()], f"mean {result.mean():.2f}")
first, second, brightness, jitter, contrast = seen.values()


def close(a, b):
    return torch.allclose(a, b, atol=1e-3)


same = close(first, brightness) and close(second, brightness) and close(jitter, contrast) and not close(brightness, contrast)

print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
