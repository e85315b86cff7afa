#!/usr/bin/env bash
# What: training a Unigram model of tokenizers twice, by the same program on the same texts, gives two different files. Scores
# differ from the fourth digit on, and pieces of nearly the same score change places, so that their ids differ. One thread alone
# does so too. The trainer of BPE gives the same file each time.
# Versions: tokenizers 0.23.3.
# A user meets it after training the tokenizer again instead of copying it, for example in a build from scratch: the pieces are the
# same, the sizes fit, and some rows of the embeddings belong to other pieces than in the trained model.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check tokenizers==0.23.3
"$folder/bin/pip" freeze | grep -iE '^tokenizers=='
cd "$folder"
cat > train.py <<'PY'
import json
import sys
from pydoc_data.topics import topics

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

# English that every Python has: the help of its language, some 700 kB.
texts = [line for topic in topics.values() for line in topic.splitlines() if line.strip()]
kind = sys.argv[1]
tokenizer = Tokenizer(getattr(models, kind)())
tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
options = {"vocab_size": 2000, "show_progress": False, "special_tokens": ["<unk>"]}
trainer = trainers.UnigramTrainer(unk_token="<unk>", **options) if kind == "Unigram" else trainers.BpeTrainer(**options)
tokenizer.train_from_iterator(texts, trainer)
vocabulary = tokenizer.get_vocab()
print(json.dumps([sorted(vocabulary, key=vocabulary.get), tokenizer.to_str()]))
PY
bin/python - <<'PY'
import json
import os
import subprocess
import sys

environment = {**os.environ, "RAYON_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}


def runs(kind):
    return [json.loads(subprocess.run([sys.executable, "train.py", kind], env=environment, capture_output=True, check=True).stdout)
            for _ in range(4)]  # fmt: skip


unigram, bpe = runs("Unigram"), runs("BPE")
files = {kind: len({text for _, text in found}) for kind, found in (("Unigram", unigram), ("BPE", bpe))}
orders = len({tuple(pieces) for pieces, _ in unigram})
print(f"files that differ in four runs: Unigram {files['Unigram']}, BPE {files['BPE']}; orders of Unigram's pieces: {orders}")
same = files["Unigram"] > 1 and files["BPE"] == 1 and orders > 1
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
