#!/usr/bin/env bash
# What: The word error rate of jiwer splits texts at spaces alone. Two or more white characters in a row become one space
# first, but a single line feed or tab stays, and the words beside it are one word. A reference of two lines against the same
# words in one line has a word error rate of 2, and with an empty line between the two lines it has 0. One expects words to
# end at any white space.
# Versions: jiwer 4.0.0, rapidfuzz 3.14.6.
# A user meets it with transcripts or subtitles of several lines: each line break costs two errors, so a perfect transcript
# looks bad. Where both texts have the line break, there are fewer words to be right.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check jiwer==4.0.0 rapidfuzz==3.14.6
"$folder/bin/pip" freeze | grep -iE '^(jiwer|rapidfuzz)=='
cd "$folder"
bin/python -W ignore - <<'PY'
import jiwer

texts = ["good\nmorning", "good\tmorning", "good\n\nmorning", "good \nmorning", "good  morning"]
rates = [jiwer.wer(text, "good morning") for text in texts]
for text, rate in zip(texts, rates, strict=True):
    print(f"reference {text!r:18} hypothesis 'good morning': word error rate {rate:.0%}")
wrong = jiwer.wer("one\ntwo three", "on\ntwo three"), jiwer.wer("one two three", "on two three")
print(f"one wrong word of three: {wrong[0]:.0%} beside a line break of both texts, {wrong[1]:.0%} without")
same = rates == [2, 2, 0, 0, 0] and wrong == (1 / 2, 1 / 3)

print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
