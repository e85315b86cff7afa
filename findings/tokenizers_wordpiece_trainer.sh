#!/usr/bin/env bash
# What: the WordPieceTrainer of tokenizers does not train WordPiece. It joins the most frequent pair, as BPE does, and gives
# the vocabulary of a BpeTrainer. WordPiece is described, also in the course of the same authors, as joining the pair whose
# frequency is greatest in relation to the frequencies of its parts.
# Versions: tokenizers 0.23.3.
# A user meets it when comparing the two methods, or when expecting that pieces which occur only together become one token:
# here "yz" always stays two tokens, and "ab", whose parts are frequent in other words too, is joined.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check tokenizers==0.23.3
"$folder/bin/pip" freeze
cd "$folder"
bin/python - <<'PY'
from collections import Counter

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

words = ["ab"] * 20 + ["ac"] * 15 + ["ad"] * 15 + ["kb"] * 15 + ["lb"] * 15 + ["yz"] * 10
options = dict(vocab_size=14, special_tokens=["[UNK]"], show_progress=False)


def trained(model, trainer):
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.train_from_iterator(words, trainer)
    return set(tokenizer.get_vocab())


wordpiece = trained(models.WordPiece(unk_token="[UNK]"), trainers.WordPieceTrainer(**options))
bpe = trained(models.BPE(unk_token="[UNK]", continuing_subword_prefix="##"),
              trainers.BpeTrainer(continuing_subword_prefix="##", **options))
pairs = Counter(words)
first, second = Counter(word[0] for word in words), Counter(word[1] for word in words)
by_relation = max(pairs, key=lambda pair: pairs[pair] / (first[pair[0]] * second[pair[1]]))
joined = {"WordPieceTrainer": sorted(p for p in wordpiece if p.isalpha() and len(p) == 2),
          "BpeTrainer": sorted(p for p in bpe if p.isalpha() and len(p) == 2)}
print(joined, "by the relation of frequencies:", by_relation)
same = joined == {"WordPieceTrainer": ["ab"], "BpeTrainer": ["ab"]} and wordpiece == bpe and by_relation == "yz"
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
