#!/usr/bin/env bash
# What: the mean of 1000 ones in bfloat16 is 0.256. NumPy sums an array of ml_dtypes' bfloat16 in bfloat16, one element after
# another: from 256 on, adding 1 changes nothing. One expects 1, as from NumPy's own float16, whose mean is taken in float32 and
# whose sums are made in pairs. A dot product of the same array is right, and so is the norm. The mean along an axis is wrong in
# the same way.
# Versions: ml_dtypes 0.6.0, numpy 2.4.6.
# A user meets it with weights or embeddings in bfloat16 that are read into NumPy: the average of many vectors is too short, and
# the mean loss of an epoch falls as the number of batches grows. x.mean(dtype=np.float32) is right.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check ml_dtypes==0.6.0 numpy==2.4.6
"$folder/bin/pip" freeze | grep -iE '^(ml_dtypes|numpy)=='
cd "$folder"
bin/python -W ignore - <<'PY'
import numpy as np
from ml_dtypes import bfloat16

means = {}
for count in (100, 256, 1000, 10000):
    for kind in (np.float16, bfloat16):
        ones = np.ones(count, kind)
        column = np.ones((count, 2), kind).mean(0)[0]
        means[count, kind] = mean, total, product, column = [float(x) for x in (ones.mean(), ones.sum(), ones @ ones, column)]
        print(f"{count:5} ones in {kind.__name__:8}: mean {mean:.4f}, of a column {column:.4f}, sum {total:g}, dot {product:g}")
wide = float(np.ones(1000, bfloat16).mean(dtype=np.float32))
print(f"mean of 1000 in bfloat16 with dtype=float32: {wide:g}")
half_right = all(means[count, np.float16][0] == means[count, np.float16][3] == 1 for count in (100, 256, 1000, 10000))
same = half_right and means[256, bfloat16][0] == 1 and wide == 1
same = same and all(means[count, bfloat16][1] == 256 for count in (256, 1000, 10000))
mean, _, product, column = means[1000, bfloat16]
same = same and 0.25 < mean < 0.26 and 0.25 < column < 0.26 and product == 1000

print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
