#!/usr/bin/env bash
# What: add_weighted_adapter() of peft with combination_type "linear" does not add the updates of LoRA adapters. It adds
# their factors A and B one by one and multiplies the sums, so that A of one adapter meets B of the other. Half of an adapter
# plus the other half of the same adapter is twice this adapter. The type "cat" gives the sum.
# Versions: peft 0.21.2, transformers 5.23.0, torch 2.15.0, numpy 2.4.6. The installation takes some gigabytes.
# A user meets it when adapters of two tasks or of two seeds are averaged: the result is neither task's, and with equal ones
# it is twice as strong.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check peft==0.21.2 transformers==5.23.0 torch==2.15.0 numpy==2.4.6
"$folder/bin/pip" freeze | grep -iE '^(peft|transformers|torch|numpy)=='
cd "$folder"
bin/python - <<'PY'
import torch
from peft import LoraConfig, get_peft_model
from transformers import BertConfig, BertModel

torch.manual_seed(0)
config = BertConfig(vocab_size=30, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32)
lora = LoraConfig(r=4, target_modules=["query"])
model = get_peft_model(BertModel(config), lora)
model.add_adapter("other", lora)
for name, parameter in model.named_parameters():
    if "lora_" in name:
        torch.nn.init.normal_(parameter)
layer = model.base_model.model.encoder.layer[0].attention.self.query
first, second = layer.get_delta_weight("default"), layer.get_delta_weight("other")
seen = {}
for kind in ("linear", "cat"):
    model.add_weighted_adapter(["default", "other"], [0.5, 0.5], f"mean_{kind}", combination_type=kind)
    model.add_weighted_adapter(["default", "default"], [0.5, 0.5], f"halves_{kind}", combination_type=kind)
    mean, halves = layer.get_delta_weight(f"mean_{kind}"), layer.get_delta_weight(f"halves_{kind}")
    wanted = (first + second) / 2
    seen[kind] = [((mean - wanted).norm() / wanted.norm()).item(), (halves.norm() / first.norm()).item()]
    print(f"{kind}: {100 * seen[kind][0]:.0f}% from the mean; two halves of one adapter are {seen[kind][1]:.2f} of it")
same = (seen["linear"][0] > 0.5 and abs(seen["linear"][1] - 2) < 1e-3
        and seen["cat"][0] < 1e-3 and abs(seen["cat"][1] - 1) < 1e-3)
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
