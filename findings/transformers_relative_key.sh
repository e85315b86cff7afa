#!/usr/bin/env bash
# What: a BERT directory whose config.json says position_embedding_type "relative_key" loads without an error and computes
# absolute positions. Versions before 5 computed relative ones by that setting, so the same files give other outputs.
# Versions: transformers 5.23.0, torch 2.15.0.
# A user meets it with a model trained in version 4: results get worse, and the configuration still says "relative_key".
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check transformers==5.23.0 torch==2.15.0
"$folder/bin/pip" freeze
cd "$folder"
bin/python - <<'PY'
import json
import pathlib

import torch
from transformers import BertConfig, BertModel

size = dict(vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32)
ids = torch.arange(5, 45)[None]
absolute = BertModel(BertConfig(**size)).eval()
absolute.save_pretrained("model")
path = pathlib.Path("model/config.json")
path.write_text(json.dumps(json.loads(path.read_text()) | {"position_embedding_type": "relative_key"}))
relative = BertModel.from_pretrained("model").eval()
with torch.no_grad():
    equal = torch.equal(absolute(ids).last_hidden_state, relative(ids).last_hidden_state)
print("position_embedding_type:", relative.config.position_embedding_type, "- outputs equal absolute ones:", equal)
print("as described" if equal else "changed")
raise SystemExit(0 if equal else 1)
PY
