#!/usr/bin/env bash
# What: an M2M-100 model trains at random although all three of its dropouts are 0. Its configuration has LayerDrop besides, at 0.05
# for the encoder and for the decoder, so that whole layers are left out in training mode. Marian, BART and mBART have it at 0.
# Versions: transformers 5.23.0, torch 2.15.0.
# A user meets it when the losses of two runs, or of another implementation, are compared with dropout turned off: about every
# second step of a model with six layers on each side differs.
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
from transformers import BartConfig, M2M100Config, M2M100ForConditionalGeneration, MarianConfig, MBartConfig

torch.manual_seed(1)
config = M2M100Config(
    vocab_size=40, d_model=16, encoder_layers=6, decoder_layers=6, encoder_attention_heads=2, decoder_attention_heads=2,
    encoder_ffn_dim=32, decoder_ffn_dim=32, dropout=0.0, attention_dropout=0.0, activation_dropout=0.0)  # fmt: skip
model = M2M100ForConditionalGeneration(config).train()
ids = torch.arange(4, 12)[None]
losses = [round(model(input_ids=ids, labels=ids).loss.item(), 6) for _ in range(60)]
others = [kind().encoder_layerdrop for kind in (MarianConfig, BartConfig, MBartConfig)]
print("dropout", config.dropout, "attention_dropout", config.attention_dropout, "activation_dropout", config.activation_dropout,
      "encoder_layerdrop", config.encoder_layerdrop, "decoder_layerdrop", config.decoder_layerdrop)
print(len(set(losses)), "different losses of one batch in", len(losses), "forward passes; encoder_layerdrop of Marian, BART and mBART:", others)
same = len(set(losses)) > 1 and config.encoder_layerdrop == config.decoder_layerdrop == 0.05 and others == [0.0, 0.0, 0.0]
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
