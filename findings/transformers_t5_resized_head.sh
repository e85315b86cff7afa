#!/usr/bin/env bash
# What: adding a token to a T5 of version 1.1 replaces its output layer. Such a model is loaded with an output layer of its own, as its
# file has it. resize_token_embeddings() then ties this layer to the table of embeddings, and the trained weights are gone. A T5
# that is made with tie_word_embeddings=False is tied from the beginning. mT5 behaves in the same way.
# Versions: transformers 5.23.0, torch 2.15.0, numpy 2.4.6. The installation takes some gigabytes.
# A user meets it with Flan-T5 or mT5 and a few new tokens, the first step of many recipes: there is no warning, the sizes are
# right, and what the model writes is noise until a long training has made up for the layer.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check transformers==5.23.0 torch==2.15.0 numpy==2.4.6
"$folder/bin/pip" freeze | grep -iE '^(transformers|torch|numpy)=='
cd "$folder"
bin/python - <<'PY'
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import MT5Config, MT5ForConditionalGeneration, T5Config, T5ForConditionalGeneration

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
torch.manual_seed(0)
same = True
for kind, settings in ((T5ForConditionalGeneration, T5Config), (MT5ForConditionalGeneration, MT5Config)):
    folder = settings.model_type
    config = settings(vocab_size=40, d_model=16, d_kv=4, d_ff=32, num_layers=1, num_heads=4, feed_forward_proj="gated-gelu",
                      tie_word_embeddings=False, pad_token_id=0, decoder_start_token_id=0)  # fmt: skip
    new = kind(config)
    made_tied = new.lm_head.weight is new.shared.weight
    new.save_pretrained(folder)
    weights = {**load_file(f"{folder}/model.safetensors"), "lm_head.weight": torch.randn(40, 16)}
    save_file(weights, f"{folder}/model.safetensors", metadata={"format": "pt"})

    model = kind.from_pretrained(folder).eval()
    inputs = {"input_ids": torch.tensor([[3, 4, 5, 1]]), "decoder_input_ids": torch.tensor([[0, 7]])}
    with torch.no_grad():
        before = model(**inputs).logits
        kept = torch.equal(model.lm_head.weight, weights["lm_head.weight"])
        model.resize_token_embeddings(41)
        after = model(**inputs).logits[..., :40]
    tied = model.lm_head.weight is model.shared.weight
    print(f"{folder}: made with tie_word_embeddings=False it is tied: {made_tied}; loaded with the file's output layer: {kept}; after "
          f"one more token it is tied: {tied}, greatest change of a logit {(after - before).abs().max():.2f}")  # fmt: skip
    same &= made_tied and kept and tied and not torch.allclose(after, before, atol=0.1)
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
