#!/usr/bin/env bash
# What: special tokens that are given to a BpeTrainer are not taken out of the texts that it trains on. Where a corpus holds them as
# separators, the trainer learns their letters as words and spends entries of the vocabulary on them. No encoding ever has these
# entries, because the finished tokenizer takes the special token out of a text first.
# Versions: tokenizers 0.23.3.
# A user meets it with documents that are joined by <|endoftext|>: the separator is among the most frequent words of the corpus, and
# up to ten entries go to its parts. The vocabulary is that much smaller than its size, and their embeddings are never trained.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check tokenizers==0.23.3
"$folder/bin/pip" freeze | grep -iE '^tokenizers=='
cd "$folder"
bin/python - <<'PY'
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

separator = "<|endoftext|>"
corpus = [f"a short document about numbers and names {separator}", f"another one about names {separator}"] * 50


def trained(texts):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=120, special_tokens=[separator], show_progress=False))
    return tokenizer


tokenizer = trained(corpus)
clean = trained([text.replace(separator, "") for text in corpus])
parts = sorted(piece for piece in tokenizer.get_vocab() if len(piece) > 3 and piece in separator and piece != separator)
used = {token for text in corpus for token in tokenizer.encode(text).tokens}
print("entries made of the separator:", parts, "- of a corpus without it:", [piece for piece in parts if piece in clean.get_vocab()])
print("of these in any encoding of the corpus:", sorted(used & set(parts)))
same = len(parts) >= 3 and not used & set(parts) and not set(parts) & set(clean.get_vocab())
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
