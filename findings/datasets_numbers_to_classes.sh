#!/usr/bin/env bash
# What: class_encode_column of a column of whole numbers numbers the classes in the order of their digits as text: 1, 10, 2, 3. Of
# marks from 1 to 10 the mark 10 becomes class 1 and 2 becomes class 2. One expects the order of the numbers, since the column has
# a type of numbers, and with marks from 1 to 9 that is what comes out.
# Versions: datasets 5.2.0, pyarrow 26.0.1, pandas 3.1.1.
# A user meets it with ratings or other ordered labels: everything that uses the ids as an order, such as a mean, an absolute
# error, a quadratic kappa or an ordinal loss, is wrong as soon as a label has two digits. A split that lacks the label 10 gets
# other ids.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check datasets==5.2.0 pyarrow==26.0.1 pandas==3.1.1 numpy==2.4.6
"$folder/bin/pip" freeze | grep -iE '^(datasets|pyarrow|pandas|numpy)=='
cd "$folder"
bin/python -W ignore - <<'PY'
from datasets import Dataset, disable_progress_bars

disable_progress_bars()
seen = {}
for most in (9, 10):
    encoded = Dataset.from_dict({"mark": list(range(1, most + 1))}).class_encode_column("mark")
    seen[most] = encoded.features["mark"].names
    print(f"marks 1 to {most} have the ids", encoded["mark"][:], "of the classes", *seen[most])
same = seen[9] == [str(i) for i in range(1, 10)] and seen[10][:3] == ["1", "10", "2"]

print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
