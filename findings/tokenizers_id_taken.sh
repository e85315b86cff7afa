#!/usr/bin/env bash
# What: a token that is added to a tokenizer can get the id of another token. The new id is the number of entries of the
# vocabulary, not one above the greatest id. Where ids begin with 1 or have a gap, that number is taken already. Nothing
# warns, both tokens are encoded to the same id, and decoding gives the new one.
# Versions: tokenizers 0.23.3.
# A user meets it after removing lines from a vocabulary, or with one whose 0 is kept for padding elsewhere: the model cannot
# tell the two tokens apart, and the embedding matrix that is made larger for the new token gets a row that is never used.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check tokenizers==0.23.3
"$folder/bin/pip" freeze
cd "$folder"
bin/python - <<'PY'
from tokenizers import Tokenizer, models, pre_tokenizers


def with_token(vocabulary):
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_tokens(["new"])
    ids = tokenizer.encode("good film new").ids
    print(vocabulary, "ids of good film new:", ids, "decoded:", tokenizer.decode(ids))
    return ids, tokenizer.decode(ids)


dense = with_token({"[UNK]": 0, "good": 1, "film": 2})
from_one = with_token({"[UNK]": 1, "good": 2, "film": 3})
gap = with_token({"[UNK]": 0, "good": 3, "film": 4})
same = (dense == ([1, 2, 3], "good film new") and from_one == ([2, 3, 3], "good new new")
        and gap == ([3, 4, 3], "new film new"))
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
