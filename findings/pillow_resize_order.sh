#!/usr/bin/env bash
# What: Pillow 13 resizes some pictures with other pixels than Pillow 12. A resize has two passes, and each rounds to bytes. Pillow 12
# always changed the width first. Pillow 13 changes the height first where that makes the picture smaller sooner.
# Versions: Pillow 12.3.0 and 13.0.0.
# A user meets it when a model's preprocessing moves to Pillow 13: tall pictures differ by 1 in some pixels, and tests that compare
# pixels or logits to the last digit fail.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat >resize.py <<'PY'
import random
import sys

import PIL
from PIL import Image

random.seed(1)
picture = Image.frombytes("L", (40, 60), bytes(random.randrange(256) for _ in range(40 * 60)))
both = picture.resize((100, 20), Image.Resampling.BILINEAR)
width_first = picture.resize((100, 60), Image.Resampling.BILINEAR).resize((100, 20), Image.Resampling.BILINEAR)
height_first = picture.resize((40, 20), Image.Resampling.BILINEAR).resize((100, 20), Image.Resampling.BILINEAR)
order = {(True, False): "width first", (False, True): "height first"}.get(
    (both.tobytes() == width_first.tobytes(), both.tobytes() == height_first.tobytes()), "neither order")
print(f"Pillow {PIL.__version__}: a picture of 60 rows and 40 columns to 20 rows and 100 columns: {order}")
raise SystemExit(0 if order == sys.argv[1] else 1)
PY
for case in "12.3.0 width first" "13.0.0 height first"; do
  version=${case%% *}
  python3 -m venv "$version"
  "$version/bin/pip" install --quiet --disable-pip-version-check "Pillow==$version"
  "$version/bin/python" resize.py "${case#* }" || { echo changed; exit 1; }
done
echo "as described"
