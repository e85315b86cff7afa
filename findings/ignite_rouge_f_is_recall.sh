#!/usr/bin/env bash
# What: the F-measure of ignite's Rouge is the recall. Its weight alpha is 0 unless it is set, which leaves the precision out,
# so 'Rouge-1-F' and 'Rouge-1-R' are one number. One expects their harmonic mean, which alpha=0.5 gives, since that is what
# ROUGE's F means in papers and in every other package.
# Versions: pytorch-ignite 0.5.5, torch 2.15.0. The installation takes some gigabytes.
# A user meets it when a summariser is chosen by F: the longest output wins, and copying the whole article comes close to 1.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check pytorch-ignite==0.5.5 torch==2.15.0 numpy==2.4.6
"$folder/bin/pip" freeze | grep -iE '^(pytorch-ignite|torch|numpy)=='
cd "$folder"
bin/python -W ignore - <<'PY'
from ignite.metrics import Rouge

reference = "the cat sat on the mat".split()
outputs = {
    "three of its words": "the cat sat".split(),
    "all words and 14 others": reference + "then it went to the garden and looked for birds until the evening came".split(),
}
seen = {}
for name, output in outputs.items():
    for alpha in (None, 0.5):
        metric = Rouge(variants=[1]) if alpha is None else Rouge(variants=[1], alpha=alpha)
        metric.update(([output], [[reference]]))
        result = metric.compute()
        seen[name, alpha] = [round(float(result[f"Rouge-1-{part}"]), 3) for part in "PRF"]
        print(f"{name:24}, alpha {alpha or 'not set'}: precision, recall, F {seen[name, alpha]}")
same = all(values[2] == values[1] != values[0] for (_, alpha), values in seen.items() if alpha is None)
same = same and seen["three of its words", 0.5] == [1, 0.5, 0.667] and seen["all words and 14 others", None][2] == 1

print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
