#!/usr/bin/env bash
# What: a T5 whose decoder has more layers than its encoder loads, trains and computes logits, but generate() raises an
# IndexError. The cache that generate() makes has as many layers as the encoder.
# Versions: transformers 5.23.0, torch 2.15.0.
# A user meets it after training a model with num_decoder_layers above num_layers, at the first translation. use_cache=False works.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check transformers==5.23.0 torch==2.15.0
"$folder/bin/pip" freeze | grep -iE '^(transformers|torch)=='
cd "$folder"
bin/python -W ignore - <<'PY'
import torch
from transformers import T5Config, T5ForConditionalGeneration

torch.manual_seed(1)
model = T5ForConditionalGeneration(T5Config(
    vocab_size=40, d_model=16, d_kv=8, d_ff=32, num_heads=2, num_layers=1, num_decoder_layers=3,
    decoder_start_token_id=0)).eval()  # fmt: skip
source = torch.arange(2, 9)[None]
with torch.no_grad():
    model(input_ids=source, decoder_input_ids=source)
    without = model.generate(source, max_new_tokens=5, use_cache=False).shape[1]
    try:
        model.generate(source, max_new_tokens=5)
        raised = "nothing"
    except IndexError as error:
        raised = f"IndexError: {error}"
print(f"without a cache {without} tokens are written; with one generate() raises {raised}")
same = raised != "nothing"
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
