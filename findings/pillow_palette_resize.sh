#!/usr/bin/env bash
# What: Pillow resizes a picture with a palette, or one of black and white alone, by the nearest pixel, whatever filter is asked for.
# There is no warning. The same picture after convert("RGB") is resized with the filter.
# Versions: Pillow 13.0.0, numpy 2.4.6.
# A user meets it where pictures are made smaller before they are converted, as a thumbnail or in a loader that converts last: PNG
# files that a program saved with a palette, as screenshots and diagrams often are, become other pixels than the same picture without.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check pillow==13.0.0 numpy==2.4.6
"$folder/bin/pip" freeze | grep -iE '^(pillow|numpy)=='
cd "$folder"
bin/python - <<'PY'
import numpy
from PIL import Image

stripes = Image.new("P", (8, 8))
stripes.putpalette([0, 0, 0, 255, 255, 255])
stripes.putdata([x % 2 for _ in range(8) for x in range(8)])
sizes, seen = (4, 4), {}
for name, picture in (("palette", stripes), ("black and white", stripes.convert("1")), ("converted first", stripes.convert("RGB"))):
    small = picture.resize(sizes, Image.Resampling.BICUBIC)
    seen[name] = sorted(set(numpy.asarray(small.convert("L")).ravel().tolist()))
    print(f"{name}: shades after BICUBIC {seen[name]}, as NEAREST: {small == picture.resize(sizes, Image.Resampling.NEAREST)}")
same = len(seen["palette"]) == 1 and len(seen["black and white"]) == 1 and all(100 < shade < 150 for shade in seen["converted first"])
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
