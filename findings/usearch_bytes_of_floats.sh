#!/usr/bin/env bash
# What: An index of usearch with dtype="i8" scales each vector of floats to length 127 before it stores bytes, whatever the
# metric. The lengths are lost: by squared distance or inner product, vectors of one direction are equal, and the result is
# that of the cosine. One expects the numbers rounded to bytes, or one scale for all vectors, since the metric is not the
# cosine. The same numbers given as int8 are stored as they are.
# Versions: usearch 2.26.6, numpy 2.4.6.
# A user meets it by saving memory with 8-bit vectors: the nearest neighbour changes without a word, and a search by inner
# product no longer prefers long vectors, as recommenders need.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check usearch==2.26.6 numpy==2.4.6
"$folder/bin/pip" freeze | grep -iE '^(usearch|numpy)=='
cd "$folder"
bin/python -W ignore - <<'PY'
import numpy as np
from usearch.index import Index

vectors = [[1, 2], [10, 20], [2, 1]]
seen = {}
for metric in ("l2sq", "ip"):
    for dtype, numbers in (("f32", np.float32), ("i8", np.float32), ("i8", np.int8)):
        index = Index(ndim=2, metric=metric, dtype=dtype)
        index.add(np.arange(3), np.array(vectors, numbers))
        found = index.search(np.array([8, 16], numbers), 3)
        distances = dict(zip(found.keys.tolist(), found.distances.tolist(), strict=True))
        seen[metric, dtype, numbers] = distances
        shown = ", ".join(f"{vectors[key]} {distances[key]:.0f}" for key in range(3))
        print(f"{metric:4} in {dtype:3} of {numbers.__name__:7}: distances to [8, 16]: {shown}; stored {index.get(1).tolist()}")
same = True
for metric, exact in (("l2sq", [245, 20, 261]), ("ip", [-39, -399, -31])):
    kept = [list(map(seen[metric, *form].get, range(3))) for form in (("f32", np.float32), ("i8", np.int8))]
    lost = seen[metric, "i8", np.float32]
    same = same and kept == [exact, exact] and lost[0] == lost[1] < lost[2]

print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
