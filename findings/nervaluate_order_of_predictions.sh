#!/usr/bin/env bash
# What: The scores of nervaluate depend on the order in which a text's predicted entities are listed. Each prediction takes
# the first true entity it overlaps, so one that covers a part uses up the entity, and the exact one after it counts as
# superfluous: strict F1 is 0, and 0.67 in the other order. One expects an exact match to be found first, since a list of
# spans stands for a set.
# Versions: nervaluate 1.2.1.
# A user meets it with models of spans whose answers overlap, such as "York" in "New York": sorting the spans by score, by
# place or by length changes the reported F1.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check nervaluate==1.2.1
"$folder/bin/pip" freeze | grep -iE '^(nervaluate)=='
cd "$folder"
bin/python -W ignore - <<'PY'
from nervaluate import Evaluator

true = [{"label": "city", "start": 0, "end": 7}]
part, exact = {"label": "city", "start": 4, "end": 7}, {"label": "city", "start": 0, "end": 7}
seen = []
for predicted in ([exact, part], [part, exact]):
    overall = Evaluator([true], [predicted], tags=["city"], loader="dict").evaluate()["overall"]
    seen.append([round(overall[way].f1, 2) for way in ("strict", "exact", "partial", "ent_type")])
    spans = [(span["start"], span["end"]) for span in predicted]
    print(f"true (0, 7), predicted {spans}: F1 strict, exact, partial, by type {seen[-1]}")
same = seen == [[0.67] * 4, [0, 0, 0.33, 0.67]]

print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
