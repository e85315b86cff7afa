#!/usr/bin/env bash
# What: a T5 of version 1.1, or an mT5, that CTranslate2 converts has flatter probabilities than the model. The converter divides the
# output by the root of the width if tie_word_embeddings is set. That told the first T5 from the later ones in version 4 of
# transformers. Version 5 sets it for all of them and says scale_decoder_outputs instead, which the converter does not read.
# Versions: ctranslate2 4.8.5, transformers 5.23.0, torch 2.15.0, numpy 2.4.6. The installation takes some gigabytes.
# A user meets it with Flan-T5, mT5 or ByT5: greedy translations are right, so that a quick look finds nothing. Scores, sampling and
# beam search are those of another model, at a temperature of 23 to 32 in the usual sizes.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check ctranslate2==4.8.5 transformers==5.23.0 torch==2.15.0 numpy==2.4.6
"$folder/bin/pip" freeze | grep -iE '^(ctranslate2|transformers|torch|numpy)=='
cd "$folder"
bin/python - <<'PY'
import math
import os

import ctranslate2
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import MT5Config, MT5ForConditionalGeneration, PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
torch.manual_seed(0)
words = ["<pad>", "</s>", "<unk>", *(f"w{i}" for i in range(37))]
table = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
table.pre_tokenizer = pre_tokenizers.Whitespace()
tokenizer = PreTrainedTokenizerFast(tokenizer_object=table, pad_token="<pad>", eos_token="</s>", unk_token="<unk>")
width, source, target = 16, [3, 4, 5, 6, 1], [7, 8, 9]
sizes = dict(vocab_size=len(words), d_model=width, d_kv=4, d_ff=32, num_layers=1, num_heads=4, pad_token_id=0, eos_token_id=1,
             decoder_start_token_id=0)  # fmt: skip
later = dict(feed_forward_proj="gated-gelu", tie_word_embeddings=False)
kinds = {"T5": (T5ForConditionalGeneration, T5Config(**sizes)),
         "T5 1.1": (T5ForConditionalGeneration, T5Config(**sizes, **later)),
         "mT5": (MT5ForConditionalGeneration, MT5Config(**sizes, **later))}  # fmt: skip
differences = {}
for name, (kind, config) in kinds.items():
    model = kind(config).eval()
    for weight in model.parameters():
        weight.data.normal_(0, 0.5)
    model.save_pretrained(name)
    tokenizer.save_pretrained(name)
    ctranslate2.converters.TransformersConverter(name).convert(os.path.join(name, "converted"))
    translator = ctranslate2.Translator(os.path.join(name, "converted"), compute_type="float32")
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([source]), decoder_input_ids=torch.tensor([[0, *target]])).logits[0]
    seen = translator.score_batch([[words[i] for i in source]], [[words[i] for i in target]])[0].log_probs

    def distance(scale):
        logs = (logits * scale).log_softmax(-1)
        return max(abs(logs[i, token].item() - seen[i]) for i, token in enumerate([*target, 1]))

    differences[name] = distance(1.0), distance(1 / math.sqrt(width))
    print(f"{name}: greatest difference of a log-probability {differences[name][0]:.4f}; from the model's divided logits "
          f"{differences[name][1]:.4f}")  # fmt: skip
same = differences["T5"][0] < 1e-3 and all(plain > 0.1 and divided < 1e-3 for plain, divided in list(differences.values())[1:])
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
