#!/usr/bin/env bash
# What: torchmetrics' chrF leaves out the reference of a translation that has no right character. One good line and nine empty
# translations have a chrF of 100. The TER of empty translations is 0, as if they were perfect. One expects sacrebleu's scores,
# which are 10 and 90: what nine references hold is missing. Where each line has something right, both libraries agree.
# Versions: torchmetrics 1.9.0, sacrebleu 2.6.0, torch 2.15.0. The installation takes some gigabytes.
# A user meets it with a model that ends some translations at once, or answers in another script: such lines hardly lower the
# score, or raise it.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check torchmetrics==1.9.0 sacrebleu==2.6.0 torch==2.15.0 numpy==2.4.6
"$folder/bin/pip" freeze | grep -iE '^(torchmetrics|sacrebleu|torch|numpy)=='
cd "$folder"
bin/python -W ignore - <<'PY'
from sacrebleu.metrics import BLEU, CHRF, TER
from torchmetrics.text import CHRFScore, SacreBLEUScore, TranslationEditRate

good = "the cat sat on the mat"
references = [good] + ["a dog ran through the yard"] * 9


def scores(ours, theirs, translations):
    """The score of torchmetrics in percent, and that of sacrebleu."""
    return 100 * ours(translations, [[line] for line in references]).item(), theirs.corpus_score(translations, [references]).score


missed = [good] + [""] * 9
foreign = [good] + ["кошка"] * 9
partly = [good] + ["a dog sat in a yard"] * 9
print("of ten lines                torchmetrics  sacrebleu")
seen = {}
for what, ours, theirs, lines in (
    ("chrF, nine empty", CHRFScore(n_word_order=0), CHRF(), missed),
    ("chrF, nine in Russian", CHRFScore(n_word_order=0), CHRF(), foreign),
    ("chrF++, nine empty", CHRFScore(), CHRF(word_order=2), missed),
    ("chrF, nine partly right", CHRFScore(n_word_order=0), CHRF(), partly),
    ("BLEU, nine partly right", SacreBLEUScore(), BLEU(), partly),
    ("TER, nine partly right", TranslationEditRate(), TER(), partly),
    ("TER, nine empty", TranslationEditRate(), TER(), missed),
):
    seen[what] = scores(ours, theirs, lines)
    print(f"{what:27} {seen[what][0]:12.2f} {seen[what][1]:10.2f}")
equal = all(abs(a - b) < 0.1 for what, (a, b) in seen.items() if "partly" in what)
ours, theirs = seen["chrF, nine empty"]
same = equal and ours > 99.9 and theirs < 15 and seen["chrF, nine in Russian"][0] > 70 and seen["TER, nine empty"][0] == 0

print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
