#!/usr/bin/env bash
# What: leaving an unused piece out of a Unigram vocabulary changes how texts without that piece are split. The score of
# an unknown character is the least score of all pieces minus 10, so it rises when the rarest piece goes. A path through
# an unknown character can then be better than one through known pieces.
# Versions: tokenizers 0.23.3.
# A user meets it after cutting a multilingual vocabulary to the pieces of a corpus: words of kept pieces become <unk>.
# Keeping one piece of the least score avoids it.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check tokenizers==0.23.3
"$folder/bin/pip" freeze
cd "$folder"
bin/python - <<'PY'
from tokenizers import Tokenizer, models

pieces = [("<unk>", 0.0), ("ab", -30.0), ("cd", -30.0), ("abc", -1.0)]


def split(vocabulary):
    found = Tokenizer(models.Unigram(vocabulary, unk_id=0)).encode("abcd")
    names = [vocabulary[i][0] for i in found.ids]
    print([name for name, _ in vocabulary], "->", names)
    return names


same = split([*pieces, ("z", -100.0)]) == ["ab", "cd"] and split(pieces) == ["abc", "<unk>"]
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
