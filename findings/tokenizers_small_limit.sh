#!/usr/bin/env bash
# What: enable_truncation(max_length=n) with n below the number of special tokens truncates nothing. With [CLS] and
# [SEP] a limit of 2 leaves these two; a limit of 1 or 0 gives the whole text, without an error or a warning.
# Versions: tokenizers 0.23.3.
# A user meets it when the limit is computed, for example as the room that a prompt leaves: exactly when no room is left,
# the model gets the whole input.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check tokenizers==0.23.3
"$folder/bin/pip" freeze
cd "$folder"
bin/python - <<'PY'
from tokenizers import Tokenizer, models, pre_tokenizers, processors

words = "[UNK] [CLS] [SEP] a b c d".split()
tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
tokenizer.post_processor = processors.TemplateProcessing(
    single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)])
seen = {}
for limit in (4, 3, 2, 1, 0):
    tokenizer.enable_truncation(max_length=limit)
    seen[limit] = tokenizer.encode("a b c d").tokens
    print("max_length", limit, "gives", len(seen[limit]), seen[limit])
whole = ["[CLS]", "a", "b", "c", "d", "[SEP]"]
same = [len(seen[limit]) for limit in (4, 3, 2)] == [4, 3, 2] and seen[1] == seen[0] == whole
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
