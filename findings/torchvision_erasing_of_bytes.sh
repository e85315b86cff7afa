#!/usr/bin/env bash
# What: RandomErasing(value="random") fills the erased part of a picture of bytes with black and white: the noise is drawn from
# the normal distribution for values around 0 and 1, and cast to bytes. Every noise pixel is within a few steps of 0 or of 255,
# and some two thirds are exactly 0. One expects noise over all brightnesses, as for floats, because transforms of version 2 scale
# their numbers to the range of the picture's dtype.
# Versions: torchvision 0.29.2, torch 2.15.0. The installation takes some gigabytes.
# A user meets it since pictures are augmented as bytes for speed: the erased part is not noise but nearly a black patch. A value
# between 0 and 1, such as the mean colour 0.5, becomes 0.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check torchvision==0.29.2 torch==2.15.0 numpy==2.4.6
"$folder/bin/pip" freeze | grep -iE '^(torchvision|torch|numpy)=='
cd "$folder"
bin/python -W ignore - <<'PY'
import torch
from torchvision.transforms.v2 import RandomErasing

torch.manual_seed(0)


def erased(picture, value):
    """The pixels of the picture, all equal before, that have changed."""
    result = RandomErasing(p=1, value=value, scale=(0.5, 0.5))(picture)
    return result[result != picture]


noise = erased(torch.full((3, 64, 64), 128, dtype=torch.uint8), "random").int()
near = torch.minimum(noise, 255 - noise)
print(f"bytes: {len(noise)} pixels of noise, within {near.max()} of 0 or 255, exactly 0: {(noise == 0).float().mean():.0%}")
floats = erased(torch.full((3, 64, 64), 0.5), "random")
print(f"floats: mean {floats.mean():.2f}, standard deviation {floats.std():.2f}")
gray = erased(torch.full((3, 64, 64), 128, dtype=torch.uint8), 0.5)
print("bytes erased with 0.5 are", gray.unique().tolist())
same = near.max() <= 6 and (noise == 0).float().mean() > 0.6 and abs(floats.std() - 1) < 0.1 and gray.unique().tolist() == [0]

print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
