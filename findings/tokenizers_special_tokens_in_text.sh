#!/usr/bin/env bash
# What: special_tokens_mask of an encoding marks only the special tokens that the post-processor adds. One that the text
# itself contains gets the id of the special token and the mask 0. The same holds for attention_mask: [PAD] in a text is
# attended.
# Versions: tokenizers 0.23.3.
# A user meets it in pretraining on texts that hold separators: a collator that leaves out special tokens by this mask masks
# the written [SEP] and teaches the model to predict it.
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

words = "[PAD] [UNK] [CLS] [SEP] a b".split()
tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
tokenizer.add_special_tokens(words[:4])
tokenizer.post_processor = processors.TemplateProcessing(
    single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
encoding = tokenizer.encode("a [SEP] b [PAD]")
print(encoding.tokens, encoding.ids)
print("special_tokens_mask", encoding.special_tokens_mask, "attention_mask", encoding.attention_mask)
same = (encoding.ids == [2, 4, 3, 5, 0, 3] and encoding.special_tokens_mask == [1, 0, 0, 0, 0, 1]
        and encoding.attention_mask == [1] * 6)
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
