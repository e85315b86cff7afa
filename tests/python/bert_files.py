"""A small BERT of transformers with weights that are all different, for the tests of imported encoders."""

import torch
import transformers


def small_bert(seed=1, kind="BertModel", **options):
    torch.manual_seed(seed)
    sizes = {"vocab_size": 61, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 96,
             "max_position_embeddings": 40, "type_vocab_size": 2, "layer_norm_eps": 1e-12}  # fmt: skip
    config = transformers.BertConfig(**{**sizes, **options})
    model = getattr(transformers, kind)(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return model


def named_tensors(model):
    """The tensors as qing imports them: without buffers, and without the pooler if it has none."""
    return {name: tensor.clone() for name, tensor in model.state_dict().items() if "position_ids" not in name}


def load_imported(folder, kind="BertModel", **options):
    model, report = getattr(transformers, kind).from_pretrained(folder, output_loading_info=True, **options)
    assert not report["missing_keys"] and not report["unexpected_keys"] and not report["mismatched_keys"], report
    return model.eval()


def inputs(vocabulary, length=11, seed=5):
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(0, vocabulary, (2, length), generator=generator)
    mask = torch.ones_like(ids)
    mask[1, length - 3 :] = 0
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": torch.zeros_like(ids)}


def largest_difference(a, b, mask):
    return float(((a - b) * mask[..., None]).abs().max())
