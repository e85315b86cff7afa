#!/usr/bin/env bash
# What: CTranslate2 begins every translation of a Marian model with a vector of zeros. transformers begins with the embedding of the
# padding token, which is zero in published models. Fine-tuning in transformers changes it: the output layer shares the table, and its
# gradient moves the row of the padding token too. Converted, the fine-tuned model computes other probabilities from the first
# token on.
# Versions: ctranslate2 4.8.5, transformers 5.23.0, torch 2.15.0, numpy 2.4.6. The installation takes some gigabytes.
# A user meets it after fine-tuning an Opus-MT model: the evaluation in transformers and that of the converted model differ more
# than they did before the training, and nothing in the conversion says why.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check ctranslate2==4.8.5 transformers==5.23.0 torch==2.15.0 numpy==2.4.6
"$folder/bin/pip" freeze | grep -iE '^(ctranslate2|transformers|torch|numpy)=='
cd "$folder"
bin/python - <<'PY'
import ctranslate2
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import MarianConfig, MarianMTModel, PreTrainedTokenizerFast

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
torch.manual_seed(0)
words = ["</s>", "<unk>", *(f"w{i}" for i in range(37)), "<pad>"]
padding = len(words) - 1
table = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
table.pre_tokenizer = pre_tokenizers.Whitespace()
tokenizer = PreTrainedTokenizerFast(tokenizer_object=table, pad_token="<pad>", eos_token="</s>", unk_token="<unk>")
model = MarianMTModel(MarianConfig(
    vocab_size=len(words), d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2,
    encoder_ffn_dim=32, decoder_ffn_dim=32, pad_token_id=padding, eos_token_id=0, decoder_start_token_id=padding,
    forced_eos_token_id=None, scale_embedding=True, init_std=0.3, dropout=0.0))  # fmt: skip
source, target = [3, 4, 5, 6, 0], [7, 8, 9]


def difference(folder):
    """The greatest one of a log-probability, among the tokens that both may write: all but padding."""
    model.eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    ctranslate2.converters.TransformersConverter(folder).convert(f"{folder}/converted")
    translator = ctranslate2.Translator(f"{folder}/converted", compute_type="float32")
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([source]), decoder_input_ids=torch.tensor([[padding, *target]])).logits[0, :, :padding]
    logs = logits.log_softmax(-1)
    seen = translator.score_batch([[words[i] for i in source]], [[words[i] for i in target]])[0].log_probs
    row = model.model.shared.weight[padding].norm().item()
    worst = max(abs(logs[i, token].item() - seen[i]) for i, token in enumerate([*target, 0]))
    print(f"{folder}: length of the padding token's embedding {row:.4f}, greatest difference of a log-probability {worst:.6f}")
    return worst


before = difference("before training")
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
for _ in range(50):
    loss = model.train()(input_ids=torch.tensor([source]), labels=torch.tensor([[*target, 0]])).loss
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
after = difference("after training")
same = before < 1e-4 and after > 5e-3
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
