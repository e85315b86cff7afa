#!/usr/bin/env bash
# What: embeddings of a sentence-transformers model that ends in Normalize are not of length 1 when encode() gets
# truncate_dim. The vector is cut after the last module and not normalised again unless normalize_embeddings=True is given,
# although the model's own module says that its vectors are normalised.
# Versions: sentence-transformers 6.2.0, transformers 5.23.0, torch 2.15.0, numpy 2.4.6. The installation takes some gigabytes.
# A user meets it with an index that ranks by the dot product, which is the cosine for the full vectors: with the cut ones
# the ranking prefers texts whose first numbers are large, and a text may not be its own nearest neighbour.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check sentence-transformers==6.2.0 transformers==5.23.0 torch==2.15.0 numpy==2.4.6
"$folder/bin/pip" freeze | grep -iE '^(sentence-transformers|transformers|torch|numpy)=='
cd "$folder"
bin/python - <<'PY'
import os

import numpy, torch
from sentence_transformers import SentenceTransformer, models
from tokenizers import Tokenizer, models as tokenizer_models, pre_tokenizers
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

torch.manual_seed(0)
words = "[PAD] [UNK] a b c d e f".split()
tokenizer = Tokenizer(tokenizer_models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
os.makedirs("encoder")
PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]").save_pretrained("encoder")
BertModel(BertConfig(vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
                     intermediate_size=32)).save_pretrained("encoder")
parts = [models.Transformer("encoder"), models.Pooling(16), models.Normalize()]
model = SentenceTransformer(modules=parts, device="cpu")
texts = ["a b c", "d e", "f a", "c d e f"]
lengths = {name: numpy.linalg.norm(model.encode(texts, **options), axis=1) for name, options in {
    "whole": {}, "cut": {"truncate_dim": 4}, "cut, normalised": {"truncate_dim": 4, "normalize_embeddings": True}}.items()}
for name, values in lengths.items():
    print(name, "- lengths", values.round(3).tolist())
same = (numpy.allclose(lengths["whole"], 1, atol=1e-4) and numpy.allclose(lengths["cut, normalised"], 1, atol=1e-4)
        and bool((lengths["cut"] < 0.95).all()))
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
