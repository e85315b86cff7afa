#!/usr/bin/env bash
# What: SMOTE keeps the type of whole-number columns and cuts off the fraction of every new row. Between a row with 0 and one
# with 1 it always makes 0, so most new rows of a one-hot group have no 1 at all, and the means of other whole numbers fall.
# Of bytes even the difference of two rows is taken in bytes: between numbers from 100 to 109 it makes some near 0 and 250,
# and large numbers in a one-hot group. One expects rounding, a change to floats, or a refusal. The same numbers as floats
# give rows whose group adds up to 1.
# Versions: imbalanced-learn 0.14.2, scikit-learn 1.9.1, numpy 2.4.6.
# A user meets it with one-hot columns in integers, with counts, or with pixels. The classifier then learns that a row without
# any category is of the rare class. Nothing is said about it.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check imbalanced-learn==0.14.2 scikit-learn==1.9.1 numpy==2.4.6
"$folder/bin/pip" freeze | grep -iE '^(imbalanced-learn|scikit-learn|numpy)=='
cd "$folder"
bin/python -W ignore - <<'PY'
import numpy as np
from imblearn.over_sampling import SMOTE

draw = np.random.default_rng(0)
rows = np.zeros((220, 5), int)
rows[np.arange(220), draw.integers(0, 4, 220)] = 1  # one of four categories
rows[:, 4] = draw.integers(100, 110, 220)
kinds = np.repeat([0, 1], [200, 20])  # 20 rows are of the rare class
print(f"the rare rows: mean number {rows[200:, 4].mean():.2f}")
seen = {}
for kind in (float, int, np.uint8):
    made = SMOTE(random_state=0).fit_resample(rows.astype(kind), kinds)[0][220:]
    numbers = made[:, 4]
    broken = (np.abs(made[:, :4].sum(1, dtype=float) - 1) > 1e-6).sum()
    seen[kind] = broken, numbers.mean(), 100 <= numbers.min() and numbers.max() < 110
    print(f"{len(made)} rows made of {kind.__name__:5}: {broken:3} without just one category,", end=" ")
    print(f"numbers from {numbers.min():.0f} to {numbers.max():.0f}, mean {seen[kind][1]:.2f}")
same = seen[float][0] == 0 and min(seen[int][0], seen[np.uint8][0]) > 90 and seen[int][1] < seen[float][1] - 0.2
same = same and (seen[float][2], seen[int][2], seen[np.uint8][2]) == (True, True, False)

print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
