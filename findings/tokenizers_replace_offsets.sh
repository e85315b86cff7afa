#!/usr/bin/env bash
# What: when a Replace normaliser replaces several characters by one, the offsets of its token cover only the last of the
# replaced characters. When one character becomes several words, each word has the offsets of that character.
# Versions: tokenizers 0.23.3.
# A user meets it when marking tokens in the original text: for "a &amp; b" with "&amp;" replaced by "&" the token "&"
# marks the semicolon, and joining the marked parts loses the rest of the entity.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check tokenizers==0.23.3
"$folder/bin/pip" freeze
cd "$folder"
bin/python - <<'PY'
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers


def parts(pattern, content, text):
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Replace(pattern, content)
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    found = [text[begin:end] for begin, end in tokenizer.encode(text).offsets]
    print(f"{text!r} with {pattern!r} -> {content!r}: tokens of {found}")
    return found


shorter = parts("&amp;", "&", "a &amp; b")
longer = parts("%", " percent", "5% off")
removed = parts("-", "", "well-known fact")
same = shorter == ["a", ";", "b"] and longer == ["5", "%", "off"] and removed == ["well-known", "fact"]
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
