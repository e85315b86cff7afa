#!/usr/bin/env bash
# What: a tokenizer of transformers that is made of a SentencePiece file takes the pieces, their scores and the normalisation table from
# it, and little else. T5Tokenizer puts a space in front of a text though the file says add_dummy_prefix=false, joins spaces though
# it says remove_extra_whitespaces=false, makes unknown tokens where it says byte_fallback, and cuts by Unigram where the model is BPE.
# Versions: transformers 5.23.0, sentencepiece 0.2.1, numpy 2.4.6.
# A user meets it with a vocabulary of their own in a published architecture: the file loads without a word, ids are all valid, and
# the texts that the model sees are not those of SentencePiece, with which the data were prepared.
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
from transformers import T5Tokenizer

transformers.logging.set_verbosity_error()
lines = ["the cat sat on the mat", "that hat is the cat's", "a chat at the mat  and   more"] * 50
cases = {"none": ({}, "the cat"),
         "add_dummy_prefix=False": (dict(add_dummy_prefix=False), "the cat"),
         "remove_extra_whitespaces=False": (dict(remove_extra_whitespaces=False), "the  cat"),
         "byte_fallback=True": (dict(byte_fallback=True, vocab_size=310), "the \u732b"),
         "model_type=bpe": (dict(model_type="bpe"), "the chat")}  # fmt: skip
same = True
for name, (options, text) in cases.items():
    os.mkdir(name)
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(lines), model_prefix=f"{name}/spiece", minloglevel=2,
                                             hard_vocab_limit=False, **{"vocab_size": 45, **options})  # fmt: skip
    pieces = sentencepiece.SentencePieceProcessor(model_file=f"{name}/spiece.model").encode(text, out_type=str)
    tokens = T5Tokenizer.from_pretrained(name).tokenize(text)
    print(f"{name}: SentencePiece {ascii(pieces)}, T5Tokenizer {ascii(tokens)}")
    same &= (pieces == tokens) == (name == "none")
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
