#!/usr/bin/env bash
# What: BLEU(trg_lang=...) of sacrebleu takes the tokenizer for Chinese with the code "zh" alone. With "zh-CN", "zh_Hans" or FLORES'
# "zho_Hans" it takes the one for European languages, without a word. That one has no spaces to split at, so that a Chinese sentence
# is a token or two, and the score falls to almost nothing.
# Versions: sacrebleu 2.6.0.
# A user meets it when the codes of a model or of a data set go on to the metric: the score of Chinese is 0 to 2, and looks as if the
# model could not translate into it.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check sacrebleu==2.6.0
"$folder/bin/pip" freeze | grep -iE '^(sacrebleu)=='
cd "$folder"
bin/python - <<'PY'
from sacrebleu.metrics import BLEU

reference = ["我们昨天在图书馆里看了很多书。", "今天的天气很好，我们去公园吧。"]
translation = ["我们昨天在图书馆里看了几本书。", "今天天气很好，我们去公园吧。"]
scores = {}
for code in ("zh", "zh-CN", "zh_Hans", "zho_Hans"):
    metric = BLEU(trg_lang=code)
    scores[code] = metric.corpus_score(translation, [reference]).score
    print(f"{code}: tokenizer {type(metric.tokenizer).__name__}, BLEU {scores[code]:.1f}")
same = scores["zh"] > 50 and all(score < 5 for code, score in scores.items() if code != "zh")
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
