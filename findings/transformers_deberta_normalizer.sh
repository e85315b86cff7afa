#!/usr/bin/env bash
# What: a DebertaV2Tokenizer that transformers makes of spm.model does not normalise texts as the file says. The table of NFKC in it is
# left out: full-width letters, ligatures and fractions stay as they are and become unknown tokens. SentencePiece, with the same
# file, knows them all.
# Versions: transformers 5.23.0, sentencepiece 0.2.1, numpy 2.4.6.
# A user meets it with DeBERTa-v3, which is published with spm.model alone: texts from PDF files, Chinese or Japanese forms have
# [UNK] where the model was trained on plain letters.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check transformers==5.23.0 sentencepiece==0.2.1 protobuf==6.33.6 numpy==2.4.6
"$folder/bin/pip" freeze | grep -iE '^(transformers|sentencepiece|protobuf|numpy)=='
cd "$folder"
bin/python - <<'PY'
import os

import sentencepiece
import transformers
from transformers import DebertaV2Tokenizer

transformers.logging.set_verbosity_error()
lines = ["a file of the office 1 2 A B", "the final office file"] * 50
os.mkdir("files")
sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(lines), model_prefix="files/spm", vocab_size=40, minloglevel=2,
                                         hard_vocab_limit=False, pad_id=0, bos_id=1, eos_id=2, unk_id=3, pad_piece="[PAD]",
                                         bos_piece="[CLS]", eos_piece="[SEP]", unk_piece="[UNK]",
                                         user_defined_symbols=["[MASK]"])  # fmt: skip
processor = sentencepiece.SentencePieceProcessor(model_file="files/spm.model")
text = "\ufb01nal \uff21 of\ufb01ce"
tokenizer = DebertaV2Tokenizer.from_pretrained("files")
ids = {"SentencePiece": processor.encode(text), "DebertaV2Tokenizer": tokenizer(text, add_special_tokens=False)["input_ids"]}
for name, found in ids.items():
    print(f"{name}: {found.count(processor.unk_id())} unknown, {[processor.id_to_piece(i) for i in found]}")
print("both, of plain letters:", processor.encode("final A office") == tokenizer("final A office", add_special_tokens=False)["input_ids"])
same = (tokenizer.unk_token_id == processor.unk_id() and ids["SentencePiece"].count(processor.unk_id()) == 0
        and ids["DebertaV2Tokenizer"].count(processor.unk_id()) == 3
        and processor.encode("final A office") == tokenizer("final A office", add_special_tokens=False)["input_ids"])  # fmt: skip
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
