#!/usr/bin/env bash
# What: repetition_penalty means two things in generate(). Greedy search applies it to logits, beam search to logarithms of
# probabilities. A number added to all logits changes no probability. It changes what greedy search with a penalty writes, because
# the penalty divides positive logits and multiplies negative ones. Beam search writes the same as before.
# Versions: transformers 5.23.0, torch 2.15.0.
# A user meets it when a penalty that was tuned with one search is used with the other, or with a converted model whose logits are
# shifted: the strength of the penalty differs although the model's probabilities are equal.
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
from transformers import MarianConfig, MarianMTModel

torch.manual_seed(1)
model = MarianMTModel(MarianConfig(
    vocab_size=40, d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2,
    encoder_ffn_dim=32, decoder_ffn_dim=32, pad_token_id=39, eos_token_id=0, decoder_start_token_id=39, forced_eos_token_id=None,
    init_std=0.5)).eval()  # fmt: skip
source = torch.arange(1, 9)[None]


def written(beams, shift):
    model.final_logits_bias.fill_(shift)
    return model.generate(source, num_beams=beams, do_sample=False, repetition_penalty=1.5, max_new_tokens=10,
                          min_new_tokens=10)[0].tolist()  # fmt: skip


with torch.no_grad():
    equal = {beams: written(beams, 0.0) == written(beams, 20.0) for beams in (1, 4)}
print("logits shifted by 20, repetition_penalty 1.5: greedy search writes the same:", equal[1], "- beam search:", equal[4])
same = not equal[1] and equal[4]
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
