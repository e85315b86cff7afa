#!/usr/bin/env bash
# What: an hnswlib index with the cosine distance does not give back the vectors that were put into it. get_items() returns them
# with length 1. One expects the stored vectors, as with the distances l2 and ip, since the cosine could be taken without
# changing them.
# Versions: hnswlib 0.8.0, numpy 2.4.6. It is compiled during the installation.
# A user meets it where the index is the only store of embeddings: rebuilding it for inner products, where length matters,
# averaging the vectors of a cluster, or comparing them with fresh ones gives other results, and nothing tells that the lengths
# are lost.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check hnswlib==0.8.0 numpy==2.4.6
"$folder/bin/pip" freeze | grep -iE '^(hnswlib|numpy)=='
cd "$folder"
bin/python -W ignore - <<'PY'
import hnswlib
import numpy as np

vectors = np.array([[3, 4], [0, 10], [0.5, 0]], np.float32)
seen = {}
for space in ("l2", "ip", "cosine"):
    index = hnswlib.Index(space, 2)
    index.init_index(10)
    index.add_items(vectors)
    seen[space] = np.array(index.get_items([0, 1, 2]))
    print(f"{space:6}: put in {vectors.tolist()}, got back {seen[space].round(3).tolist()}")
same = all(np.array_equal(seen[space], vectors) for space in ("l2", "ip"))
same = same and np.allclose(seen["cosine"], [[0.6, 0.8], [0, 1], [1, 0]])

print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
