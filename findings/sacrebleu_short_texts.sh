#!/usr/bin/env bash
# What: BLEU of sacrebleu is 0 for a perfect translation of short texts. Without any sentence of four tokens there are no 4-grams to
# match, and the precision of none counts as 0. One longer sentence changes the score of the others from 0 to 100. BLEU of one
# sentence and chrF are not affected.
# Versions: sacrebleu 2.6.0.
# A user meets it with the labels and buttons of a program, or with titles: the score of a file with them is 0, whatever the
# translations are, and that of two files together is not between the scores of the two.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check sacrebleu==2.6.0
"$folder/bin/pip" freeze | grep -iE '^(sacrebleu)=='
cd "$folder"
bin/python - <<'PY'
from sacrebleu.metrics import BLEU, CHRF

buttons, sentence = ["Save", "Save as", "Do not save"], ["Do you want to save the file before you leave?"]
scores = {}
for name, texts in (("buttons", buttons), ("buttons and a sentence", buttons + sentence)):
    scores[name] = BLEU().corpus_score(texts, [texts]).score
    print(f"{name}, translated as the reference: BLEU {scores[name]:.1f}, chrF {CHRF().corpus_score(texts, [texts]).score:.1f}")
single = BLEU(effective_order=True).sentence_score(buttons[0], [buttons[0]]).score
print(f"the first button as a sentence: BLEU {single:.1f}")
same = scores["buttons"] == 0 and round(scores["buttons and a sentence"]) == 100 and round(single) == 100
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
