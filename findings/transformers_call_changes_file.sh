#!/usr/bin/env bash
# What: calling a fast tokenizer of transformers changes what save_pretrained() writes. Truncation and padding of the last
# call stay in the tokenizer and end up in tokenizer.json. transformers itself ignores them when it loads the folder. Other
# programs that read tokenizer.json obey: the tokenizers library cuts and pads every text from then on.
# Versions: transformers 5.23.0, tokenizers 0.23.3.
# A user meets it when a training ends with a call for short texts, such as a quick look at one example, and saves: the server
# that reads tokenizer.json sees the first few tokens of each text, and Python, with the same folder, sees all of them.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check transformers==5.23.0 tokenizers==0.23.3
"$folder/bin/pip" freeze | grep -iE '^(transformers|tokenizers)=='
cd "$folder"
bin/python - <<'PY'
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

words = "[PAD] [UNK] a b c d e".split()
tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]")
seen = {}
for name in ("before", "after"):
    fast.save_pretrained(name)
    read = Tokenizer.from_file(f"{name}/tokenizer.json")
    loaded = AutoTokenizer.from_pretrained(name)
    seen[name] = [[read.encode(text).tokens for text in ("a b c d e", "a")], loaded("a b c d e")["input_ids"]]
    print(name, "the call: tokenizers", *seen[name][0], "transformers", seen[name][1])
    fast("a b c d e", truncation=True, max_length=2, padding="max_length")
whole = [2, 3, 4, 5, 6]
same = seen == {"before": [[["a", "b", "c", "d", "e"], ["a"]], whole], "after": [[["a", "b"], ["a", "[PAD]"]], whole]}
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
