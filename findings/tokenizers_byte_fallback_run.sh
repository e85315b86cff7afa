#!/usr/bin/env bash
# What: the ByteFallback decoder of tokenizers loses whole characters beside an incomplete one. A run of byte tokens that is not
# UTF-8 as a whole becomes one replacement character for each byte, also for the bytes of the characters that are complete.
# SentencePiece, whose byte tokens these are, decodes the complete ones and replaces only the rest.
# Versions: tokenizers 0.23.3, sentencepiece 0.2.1.
# A user meets it in the text so far of a model that writes characters outside of its vocabulary byte by byte, or that stops at a
# limit of tokens: several good characters turn into question marks and come back with the next byte.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check tokenizers==0.23.3 sentencepiece==0.2.1
"$folder/bin/pip" freeze | grep -iE '^(tokenizers|sentencepiece)=='
cd "$folder"
bin/python - <<'PY'
import io

import sentencepiece
from tokenizers import Tokenizer, decoders, models

model = io.BytesIO()
sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(["a small text to train on"] * 20), model_writer=model,
                                         vocab_size=290, byte_fallback=True, hard_vocab_limit=False, minloglevel=2)  # fmt: skip
processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
pieces = [(processor.id_to_piece(i), processor.get_score(i)) for i in range(processor.piece_size())]
tokenizer = Tokenizer(models.Unigram(pieces, unk_id=0, byte_fallback=True))
tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])

ids = [processor.piece_to_id(f"<0x{byte:02X}>") for byte in "学习".encode()]
good = True
for count in range(3, 7):
    theirs, ours = processor.decode(ids[:count]), tokenizer.decode(ids[:count])
    print(f"{count} bytes: SentencePiece {theirs!r}, tokenizers {ours!r}")
    good &= theirs.startswith("学") and ours.startswith("学") == (count in (3, 6))
print("as described" if good else "changed")
raise SystemExit(0 if good else 1)
PY
