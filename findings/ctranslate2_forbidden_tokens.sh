#!/usr/bin/env bash
# What: forbidding a token in CTranslate2 raises the score of translations that do not have it. suppress_sequences,
# no_repeat_ngram_size, disable_unk and min_decoding_length take tokens out before the softmax, so that their probability goes to
# what is left. In beam search a hypothesis gains by each token that was forbidden to it. transformers takes them out of the
# logarithms of the probabilities, and the scores stay.
# Versions: ctranslate2 4.8.5, numpy 2.4.6.
# A user meets it when scores are compared or cut by a threshold, or when a converted model with no_repeat_ngram_size writes other
# translations with the same beam: hypotheses that would have repeated themselves are preferred.
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
source, found = ["w1", "w2", "w3", "</s>"], {}
for name, options in (("nothing", {}), ("w3", {"suppress_sequences": [["w3"]]})):
    result = translator.translate_batch([source], beam_size=1, max_decoding_length=8, return_scores=True, **options)[0]
    tokens = result.hypotheses[0]
    logs = translator.score_batch([source], [tokens])[0].log_probs[: len(tokens)]
    found[name] = tokens, result.scores[0], sum(logs) / len(tokens)
    print(f"forbidden: {name}; {' '.join(tokens)}; score {result.scores[0]:.4f}, the model's own {found[name][2]:.4f}")
plain, forbidden = found["nothing"], found["w3"]
same = plain[0] == forbidden[0] and "w3" not in plain[0] and abs(plain[1] - plain[2]) < 0.01 and forbidden[1] > plain[1] + 0.05
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
