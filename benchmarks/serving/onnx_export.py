"""Writes the encoder of a model directory as ONNX: python onnx_export.py MODEL_DIR OUT.onnx

The inputs are token ids and attention mask, int64 [texts, tokens]. The output is logits [texts, labels]. N-grams are left
out, because transformers does not know them. The peer therefore computes only a part of what qing computes."""

import sys

import torch
from transformers import BertForSequenceClassification

model = BertForSequenceClassification.from_pretrained(sys.argv[1], attn_implementation="sdpa").eval()
ids = torch.randint(10, 100, (2, 16))
names = {0: "texts", 1: "tokens"}
torch.onnx.export(
    model,
    (),
    sys.argv[2],
    kwargs={"input_ids": ids, "attention_mask": torch.ones_like(ids)},
    input_names=["input_ids", "attention_mask"],
    output_names=["logits"],
    dynamic_shapes={"input_ids": names, "attention_mask": names},
    dynamo=True,
)
