#!/usr/bin/env bash
# What: textstat does not count sentences of one or two words, and yet counts their words. A text of four sentences, "He
# slept. It rained. She left. We stayed.", has one sentence of eight words. One expects four of two words. The readability
# indexes are those of one long sentence, and a third word in each sentence makes the text easier.
# Versions: textstat 0.7.13.
# A user meets it with dialogues, messages and speech, or when texts of a model are filtered by readability: plain short
# answers are rated as long sentences and thrown out.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check textstat==0.7.13 nltk==3.10.4
"$folder/bin/pip" freeze | grep -iE '^(textstat|nltk)=='
cd "$folder"
bin/python -W ignore - <<'PY'
import textstat

texts = ["He slept. It rained. She left. We stayed.", "He slept well. It rained much. She left early. We all stayed.",
         "He slept, it rained, she left, we stayed."]  # fmt: skip
seen = []
for text in texts:
    seen.append((textstat.sentence_count(text), textstat.words_per_sentence(text), textstat.automated_readability_index(text)))
    print(f"{text:62} sentences {seen[-1][0]}, words in each {seen[-1][1]}, readability index {seen[-1][2]:.1f}")
same = [row[:2] for row in seen] == [(1, 8.0), (4, 3.0), (1, 8.0)] and seen[0][2] > seen[1][2] + 1

print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
