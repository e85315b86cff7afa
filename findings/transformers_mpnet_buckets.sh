#!/usr/bin/env bash
# What: MPNet sorts distances into 32 buckets whatever relative_attention_num_buckets says; the setting changes only the
# number of rows of the table. With 64 the rows 32 to 63 are never used, with 16 forward fails with an IndexError.
# Versions: transformers 5.23.0, torch 2.15.0.
# A user meets it when a model is configured with finer or coarser buckets, or when another program takes the setting at
# its word and computes other scores from the same file.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check transformers==5.23.0 torch==2.15.0
"$folder/bin/pip" freeze
cd "$folder"
bin/python - <<'PY'
import torch
from transformers import MPNetConfig, MPNetModel

size = dict(vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32)
ids = torch.arange(5, 45)[None]
model = MPNetModel(MPNetConfig(**size, relative_attention_num_buckets=64)).eval()
with torch.no_grad():
    before = model(ids).last_hidden_state
    model.encoder.relative_attention_bias.weight[32:] = 100.0
    unused = torch.equal(before, model(ids).last_hidden_state)
print("64 buckets: the last 32 rows change the result:", not unused)
try:
    MPNetModel(MPNetConfig(**size, relative_attention_num_buckets=16))(ids)
    failed = False
except IndexError as error:
    failed = True
    print("16 buckets: IndexError:", error)
same = unused and failed
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
