#!/usr/bin/env bash
# What: the package rouge gives a summary that says one sentence three times full marks. It compares the sets of words and of
# word pairs, so repetitions cost nothing: a hypothesis of one word, repeated, has a precision of 1. Its ROUGE-L joins the
# common words of every pair of sentences, whichever order they stand in, so sentences in reverse order have a score of 1 as
# well. One expects counted words, as in the definition of ROUGE and in rouge-score, where the repetition has a precision of a
# third.
# Versions: rouge 1.0.1, rouge-score 0.1.2.
# A user meets it when a summariser falls into a loop, a common failure: the loop does not lower the score, and recall rises
# with each new sentence. Rouge(exclusive=False) counts words.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check rouge==1.0.1 rouge-score==0.1.2
"$folder/bin/pip" freeze | grep -iE '^(rouge|rouge.score)=='
cd "$folder"
bin/python -W ignore - <<'PY'
from rouge import Rouge
from rouge_score.rouge_scorer import RougeScorer

scorer = RougeScorer(["rouge1", "rougeL"])
pairs = {
    "one sentence three times": (". ".join(["the cat sat on a mat"] * 3), "the cat sat on a mat"),
    "one word six times": ("cat cat cat cat cat cat", "the cat sat on a mat"),
    "sentences in reverse order": ("we go home. it rains now", "it rains now. we go home"),
}
seen = {}
for name, (said, wanted) in pairs.items():
    loose, strict = Rouge().get_scores(said, wanted)[0], scorer.score(wanted, said)
    counted = Rouge(exclusive=False).get_scores(said, wanted)[0]
    seen[name] = [round(value, 2) for value in (loose["rouge-1"]["p"], loose["rouge-l"]["f"], counted["rouge-1"]["p"],
                                                strict["rouge1"].precision, strict["rougeL"].fmeasure)]
    print(f"{name:26}: precision of words and ROUGE-L by rouge {seen[name][:2]}, precision by exclusive=False {seen[name][2]},"
          f" by rouge-score {seen[name][3:]}")
same = [values[0] for values in seen.values()] == [1, 1, 1] and [values[3] for values in seen.values()] == [0.33, 0.17, 1]
same = same and seen["one sentence three times"][1] == seen["sentences in reverse order"][1] == 1
same = same and seen["sentences in reverse order"][4] == 0.5

print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
