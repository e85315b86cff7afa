"""A small translation model of random weights for the scripts about CTranslate2, made without PyTorch."""

import numpy
from ctranslate2.specs import common_spec, model_spec, transformer_spec

WIDTH, INNER = 16, 32


def save_model(folder, words, seed):
    """Writes a model to an empty folder. Its vocabularies are "</s>", "<unk>" and the words."""
    draw = numpy.random.default_rng(seed)
    tokens = ["</s>", "<unk>", *words]
    spec = transformer_spec.TransformerSpec.from_config(1, 2, activation=common_spec.Activation.RELU)

    def numbers(*shape):
        return draw.normal(0, 0.7, shape).astype(numpy.float32)

    def fill(layer):
        if isinstance(layer, common_spec.LayerNormSpec):
            layer.gamma, layer.beta = numpy.ones(WIDTH, numpy.float32), numpy.zeros(WIDTH, numpy.float32)
            return
        for name, value in vars(layer).items():
            for part in value if isinstance(value, list) else [value]:
                if isinstance(part, model_spec.LayerSpec):
                    fill(part)

    fill(spec)
    for side in (spec.encoder, spec.decoder):
        table = side.embeddings[0] if isinstance(side.embeddings, list) else side.embeddings
        table.weight = numbers(len(tokens), WIDTH)
        side.scale_embeddings = True
        for layer in side.layer:
            layer.ffn.linear_0.weight, layer.ffn.linear_0.bias = numbers(INNER, WIDTH), numbers(INNER)
            layer.ffn.linear_1.weight, layer.ffn.linear_1.bias = numbers(WIDTH, INNER), numbers(WIDTH)
            attentions = [(layer.self_attention, [3, 1])]
            if side is spec.decoder:
                attentions.append((layer.attention, [1, 2, 1]))
            for attention, rows in attentions:
                for linear, count in zip(attention.linear, rows, strict=True):
                    linear.weight, linear.bias = numbers(count * WIDTH, WIDTH), numbers(count * WIDTH)
    spec.decoder.projection.weight, spec.decoder.projection.bias = numbers(len(tokens), WIDTH), numbers(len(tokens))
    spec.decoder.start_from_zero_embedding = True
    spec.register_source_vocabulary(tokens)
    spec.register_target_vocabulary(tokens)
    spec.config.decoder_start_token = "</s>"
    spec.validate()
    spec.optimize()
    spec.save(str(folder))
