#!/usr/bin/env bash
# What: precision_at_k() of implicit.evaluation is not the share of relevant items among the first k. It divides the hits of all
# users by the number of items that they could have hit, at most k each. A user with one item to find, who finds it, adds 1 of 1
# to a precision at 10, in the place of 1 of 10. With one item for each user it is the hit rate, and no recommender could tell
# its precision from its recall. One expects hits divided by k, averaged over the users.
# Versions: implicit 0.7.3, scipy 1.17.1, numpy 2.4.6.
# A user meets it when the figure is set beside that of another library or a paper: it is ten times as large for hold-out sets
# of one item, and users with many items weigh more than the others.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check implicit==0.7.3 scipy==1.17.1 numpy==2.4.6
"$folder/bin/pip" freeze | grep -iE '^(implicit|scipy|numpy)=='
cd "$folder"
bin/python -W ignore - <<'PY'
import numpy as np
from implicit.evaluation import precision_at_k
from scipy.sparse import csr_matrix

ITEMS = 40


class FirstTen:
    """Recommends items 0 to 9 to everybody."""

    def recommend(self, users, user_items, N=10, **options):
        return np.tile(np.arange(N, dtype=np.int32), (len(users), 1)), np.ones((len(users), N), np.float32)


def held_out(*rows):
    matrix = np.zeros((len(rows), ITEMS), np.float32)
    for user, items in enumerate(rows):
        matrix[user, items] = 1
    return csr_matrix(matrix)


cases = {
    "one user with one item, found": held_out([3]),
    "and one with two items, both missed": held_out([3], [30, 31]),
    "and one with ten items, all missed": held_out([3], list(range(20, 30))),
}
seen = {}
for name, test in cases.items():
    said = precision_at_k(FirstTen(), csr_matrix(test.shape, dtype=np.float32), test, K=10, show_progress=False)
    defined = test[:, :10].sum(1).mean() / 10
    seen[name] = round(float(said), 3), round(float(defined), 3)
    print(f"{name:36}: precision_at_k {seen[name][0]}, hits of ten {seen[name][1]}")
same = list(seen.values()) == [(1, 0.1), (0.333, 0.05), (0.091, 0.05)]

print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
