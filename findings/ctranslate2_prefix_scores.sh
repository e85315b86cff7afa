#!/usr/bin/env bash
# What: the score that CTranslate2 gives a translation with a target prefix is neither that of the whole translation nor that of what
# was added. It sums the logarithms of the new tokens and divides by the number of all tokens, with those of the prefix. The longer
# the prefix, the better the score.
# Versions: ctranslate2 4.8.5, numpy 2.4.6.
# A user meets it when completions of a translator's first words are ranked or cut by a threshold: after three given words of eight
# tokens, five bad tokens look as good as tokens of two thirds of their loss. A model whose prefix is the token of a language
# has other scores than in transformers for the same reason.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check ctranslate2==4.8.5 numpy==2.4.6
"$folder/bin/pip" freeze | grep -iE '^(ctranslate2|numpy)=='
mkdir "$folder/model"
cd "$folder"
PYTHONPATH="$here/support" PYTHONDONTWRITEBYTECODE=1 bin/python - <<'PY'
import ctranslate2
from ctranslate2_model import save_model

save_model("model", [f"w{i}" for i in range(30)], seed=3)
translator = ctranslate2.Translator("model", compute_type="float32")
source, same = ["w1", "w2", "w3", "</s>"], True
for prefix in (["w5"], ["w5", "w6", "w7"]):
    result = translator.translate_batch([source], target_prefix=[prefix], beam_size=1, max_decoding_length=8, return_scores=True)[0]
    tokens = result.hypotheses[0]
    logs = translator.score_batch([source], [tokens])[0].log_probs[: len(tokens)]
    new = sum(logs[len(prefix) :])
    print(f"prefix of {len(prefix)}, {len(tokens)} tokens: score {result.scores[0]:.4f}; mean of all {sum(logs) / len(tokens):.4f}, "
          f"of the new {new / (len(tokens) - len(prefix)):.4f}, new by all {new / len(tokens):.4f}")  # fmt: skip
    same &= abs(result.scores[0] - new / len(tokens)) < 1e-4 and len(tokens) == 8
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
