"""PyTorch's side of benchmarks/translation_training_vs_pytorch, which says what it prints.

    training_peer.py MODEL BATCHES WARM STEPS LR DROPOUT SMOOTHING THREADS
"""

import json
import resource
import sys
import time

import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForSeq2SeqLM


def read_batches(path, start, pad):
    """Padded once, before the clock runs: inputs, mask, decoder inputs, labels and real tokens of each batch."""
    tensors, batches = load_file(path), []
    join = torch.nn.utils.rnn.pad_sequence
    while f"source_{len(batches)}" in tensors:
        sides = []
        for side in ("source", "target"):
            name = f"{side}_{len(batches)}"
            sides.append(tensors[name].long().tensor_split(tensors[f"{name}_offsets"][1:-1]))
        sources, targets = sides
        given = [torch.cat([torch.tensor([start]), target[:-1]]) for target in targets]
        batches.append((
            join(sources, batch_first=True, padding_value=pad),
            join([torch.ones_like(ids) for ids in sources], batch_first=True),
            join(given, batch_first=True, padding_value=pad),
            join(targets, batch_first=True, padding_value=-100),
            sum(map(len, sources)) + sum(map(len, targets)),
        ))  # fmt: skip
    return batches


def main():
    folder, path, warm, steps, lr, dropout, smoothing, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    torch.manual_seed(42)
    config = AutoConfig.from_pretrained(folder, dropout=float(dropout))
    model = AutoModelForSeq2SeqLM.from_pretrained(folder, config=config).train()
    batches = read_batches(path, config.decoder_start_token_id, config.pad_token_id)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [{"params": [p for p in trained if p.dim() > 1]},
              {"params": [p for p in trained if p.dim() == 1], "weight_decay": 0}]  # fmt: skip
    optimizer = torch.optim.AdamW(groups, lr=float(lr), weight_decay=0.01, fused=True)
    losses, tokens, begin = [], 0, time.perf_counter()
    for step in range(int(warm) + int(steps)):
        if step == int(warm):
            tokens, begin = 0, time.perf_counter()
        inputs, mask, given, labels, real = batches[step % len(batches)]
        logits = model(input_ids=inputs, attention_mask=mask, decoder_input_ids=given, use_cache=False).logits
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), label_smoothing=float(smoothing))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        losses.append(loss.item())
        tokens += real
    seconds = time.perf_counter() - begin
    print(json.dumps({"tokens_per_second": tokens / seconds, "seconds": seconds, "tokens": tokens, "losses": losses,
                      "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))  # fmt: skip


if __name__ == "__main__":
    main()
