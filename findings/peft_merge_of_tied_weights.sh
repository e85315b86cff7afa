#!/usr/bin/env bash
# What: merging a LoRA adapter changes what the model computes when a layer is adapted whose weight is tied to another one.
# Before merging, the update belongs to the embedding alone and the decoder has the old weight. After merge_and_unload() both
# share the new one. There is no warning, whichever of the two was adapted.
# Versions: peft 0.21.2, transformers 5.23.0, torch 2.15.0, numpy 2.4.6. The installation takes some gigabytes.
# A user meets it with a masked language model or another one with tied embeddings: the evaluation of the adapter was good,
# and the merged model that is deployed gives other predictions.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check peft==0.21.2 transformers==5.23.0 torch==2.15.0 numpy==2.4.6
"$folder/bin/pip" freeze | grep -iE '^(peft|transformers|torch|numpy)=='
cd "$folder"
bin/python - <<'PY'
import warnings

import torch
from peft import LoraConfig, get_peft_model
from transformers import BertConfig, BertForMaskedLM

torch.manual_seed(0)
config = BertConfig(vocab_size=30, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32)
ids = torch.arange(5, 15)[None]
seen = {}
for target in ("query", "word_embeddings", "decoder"):
    with warnings.catch_warnings(record=True) as told, torch.no_grad():
        warnings.simplefilter("always")
        model = get_peft_model(BertForMaskedLM(config), LoraConfig(r=4, target_modules=[target])).eval()
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                torch.nn.init.normal_(parameter, std=0.3)
        before = model(ids).logits
        after = model.merge_and_unload()(ids).logits
    tied = [str(warning.message) for warning in told if "tie" in str(warning.message).lower()]
    seen[target] = [(before - after).abs().max().item(), len(tied)]
    print(f"{target}: logits change by {seen[target][0]:.4f} in merging; warnings about tied weights: {len(tied)}")
same = (seen["query"][0] < 1e-4 and seen["word_embeddings"][0] > 0.1 and seen["decoder"][0] > 0.1
        and all(count == 0 for _, count in seen.values()))
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
