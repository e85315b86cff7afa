#!/usr/bin/env bash
# What: McNemar's test of two models that are right and wrong on the same samples answers p = 0, the surest difference there
# is, where one expects p = 1. The continuity correction is subtracted from a difference of 0, and its square is divided by 0.
# NumPy warns of a division, and p is 0 all the same. This is the default of mlxtend, and what statsmodels does with
# exact=False. The exact tests answer 1. Where each of two models alone is right on two samples, the corrected p of mlxtend is
# 0.62.
# Versions: mlxtend 0.25.0, statsmodels 0.15.0, scipy 1.17.1, numpy 2.4.6.
# A user meets it when a model is compared with its export, its copy in other numbers, or itself: a p below 0.05 reports that
# the two differ.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check mlxtend==0.25.0 statsmodels==0.15.0 scipy==1.17.1 numpy==2.4.6
"$folder/bin/pip" freeze | grep -iE '^(mlxtend|statsmodels|scipy|numpy)=='
cd "$folder"
bin/python -W ignore - <<'PY'
import numpy as np
from mlxtend.evaluate import mcnemar, mcnemar_table
from statsmodels.stats.contingency_tables import mcnemar as of_statsmodels

target = np.array([0, 1] * 40)
answers = np.where(np.arange(80) < 50, target, 1 - target)  # 50 right, 30 wrong
table = mcnemar_table(target, answers, answers.copy())
print("right and wrong of a model and its copy:", table.tolist())
p = {"mlxtend": mcnemar(table)[1], "mlxtend, exact": mcnemar(table, exact=True)[1]}
p.update({"statsmodels, not exact": of_statsmodels(table, exact=False).pvalue, "statsmodels": of_statsmodels(table).pvalue})
for test, value in p.items():
    print(f"{test:23} p {value}")
even = mcnemar(np.array([[50, 2], [2, 26]]))[1]
print(f"each of two models alone right on 2 samples: p {even:.2f}")
same = list(p.values()) == [0, 1, 0, 1] and 0.6 < even < 0.63

print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
