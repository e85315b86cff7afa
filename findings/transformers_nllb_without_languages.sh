#!/usr/bin/env bash
# What: an NllbTokenizer that is made of the SentencePiece file alone has no tokens of languages. It loads without an error, takes
# src_lang, and puts <unk> where the token of the language should be. The id of any target language is that of <unk> too.
# MBart50Tokenizer, made of the same file, adds its languages behind the pieces.
# Versions: transformers 5.23.0, sentencepiece 0.2.1, numpy 2.4.6.
# A user meets it with a cut or a retrained vocabulary of NLLB without a tokenizer.json. The model translates,
# into a language that nobody chose.
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
from transformers import MBart50Tokenizer, NllbTokenizer

transformers.logging.set_verbosity_error()
lines = ["the cat sat on the mat", "le chat est sur le tapis"] * 50
sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(lines), model_prefix="spm", vocab_size=40, minloglevel=2,
                                         hard_vocab_limit=False)  # fmt: skip
seen = {}
for kind, languages in ((NllbTokenizer, ("eng_Latn", "fra_Latn")), (MBart50Tokenizer, ("en_XX", "fr_XX"))):
    os.mkdir(kind.__name__)
    os.link("spm.model", f"{kind.__name__}/sentencepiece.bpe.model")
    tokenizer = kind.from_pretrained(kind.__name__, src_lang=languages[0])
    tokens = tokenizer.convert_ids_to_tokens(tokenizer("the cat")["input_ids"])
    ids = [tokenizer.convert_tokens_to_ids(language) for language in languages]
    print(f"{kind.__name__}: {tokens}, ids of {languages}: {ids}, <unk> is {tokenizer.unk_token_id}")
    seen[kind] = tokens[0], [number == tokenizer.unk_token_id for number in ids]
same = seen[NllbTokenizer] == ("<unk>", [True, True]) and seen[MBart50Tokenizer] == ("en_XX", [False, False])
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
