"""The side of `tokenizers` in benchmarks/tokenize_vs_tokenizers: peer.py TOKENIZER.json TEXTS ROUNDS, one thread."""

import json
import sys
import time

import tokenizers

start = time.perf_counter()
tokenizer = tokenizers.Tokenizer.from_file(sys.argv[1])
load = time.perf_counter() - start
tokenizer.no_padding()
with open(sys.argv[2], encoding="utf-8") as file:
    texts = [json.loads(line) for line in file]
seconds = []
for _ in range(int(sys.argv[3])):
    begin = time.perf_counter()
    encodings = tokenizer.encode_batch(texts)
    seconds.append(time.perf_counter() - begin)
tokens = sum(len(e.ids) for e in encodings)
print(json.dumps({"seconds": seconds, "tokens": tokens, "load": load, "version": tokenizers.__version__}))
