#!/usr/bin/env bash
# What: sacrebleu's classes score a list of translations against a list of references of another length without an error. The rest
# of the longer list does not count. Half of the translations of a test set have a score like any other.
# Versions: sacrebleu 2.6.0.
# A user meets it after a run that was stopped, or with a file that lost its last lines: the score is that of the first documents,
# and says nothing of the missing ones. The command line refuses such files.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check sacrebleu==2.6.0
"$folder/bin/pip" freeze | grep -iE '^(sacrebleu)=='
cd "$folder"
bin/python - <<'PY'
from sacrebleu.metrics import BLEU, CHRF, TER

references = ["the first sentence is easy to translate", "so is the second one of this set", "the third one went wrong",
              "and nothing is left of the fourth one"]  # fmt: skip
translations = [*references[:2], "?", ""]
same = True
for metric in (BLEU(), CHRF(), TER()):
    seen = {count: metric.corpus_score(translations[:count], [references]).score for count in (2, 4)}
    short = metric.corpus_score(translations, [references[:2]]).score
    print(f"{metric.get_signature().format().split('|')[0]} {type(metric).__name__}: all four {seen[4]:.1f}, two translations "
          f"{seen[2]:.1f}, two references {short:.1f}")  # fmt: skip
    best = 0.0 if isinstance(metric, TER) else 100.0
    same &= abs(seen[2] - best) < 1e-6 and abs(short - best) < 1e-6 and abs(seen[4] - best) > 10
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
