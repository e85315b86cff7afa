"""Models of SentencePiece, trained small by the library itself, and folders of translation models around them."""

import io
import json

import sentencepiece
import tokenizers
import torch
import transformers

# What files of Marian, M2M-100, mBART and T5 begin with.
MARIAN = dict(unk_id=1, bos_id=-1, eos_id=0, pad_id=-1)
FAIRSEQ = dict(unk_id=0, bos_id=1, eos_id=2, pad_id=-1)
T5 = dict(pad_id=0, eos_id=1, unk_id=2, bos_id=-1)


def train(path, texts, size=2600, **options):
    """Writes a model file. `options` are SentencePiece's."""
    written = io.BytesIO()
    options = dict(model_type="unigram", hard_vocab_limit=False, character_coverage=0.985, num_threads=1) | options
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts), model_writer=written, vocab_size=size, minloglevel=2, **options
    )
    path.write_bytes(written.getvalue())
    return sentencepiece.SentencePieceProcessor(model_file=str(path))


def pieces_of(processor):
    return [processor.id_to_piece(i) for i in range(processor.get_piece_size())]


def write_vocabulary(path, processors, first, last=()):
    """vocab.json: the pieces of all models once, in another order than theirs."""
    names = sorted({piece for processor in processors for piece in pieces_of(processor)} - {*first, *last})
    names = [*first, *names, *last]
    path.write_text(json.dumps({name: i for i, name in enumerate(names)}, ensure_ascii=False), encoding="utf-8")
    return len(names)


def marian_tokenizer(folder, texts, languages=()):
    """source.spm, target.spm, vocab.json and tokenizer_config.json, as MarianTokenizer saves them."""
    made = folder / "made"
    made.mkdir(parents=True)
    source = train(made / "source.spm", texts, **MARIAN)
    target = train(made / "target.spm", texts[::2], size=2200, **MARIAN)
    first = ["</s>", "<unk>", *(f">>{language}<<" for language in languages)]
    write_vocabulary(made / "vocab.json", [source, target], first, ["<pad>"])
    tokenizer = transformers.MarianTokenizer(
        str(made / "source.spm"), str(made / "target.spm"), str(made / "vocab.json"), model_max_length=512
    )
    tokenizer.save_pretrained(folder)
    return tokenizer


def m2m100_tokenizer(folder, texts):
    made = folder / "made"
    made.mkdir(parents=True)
    pieces = train(made / "sentencepiece.bpe.model", texts, model_type="bpe", **FAIRSEQ)
    write_vocabulary(made / "vocab.json", [pieces], ["<s>", "<pad>", "</s>", "<unk>"])
    codes = transformers.models.m2m_100.tokenization_m2m_100.FAIRSEQ_LANGUAGE_CODES["m2m100"]
    tokenizer = transformers.M2M100Tokenizer(
        str(made / "vocab.json"), str(made / "sentencepiece.bpe.model"), model_max_length=1024,
        additional_special_tokens=[f"__{code}__" for code in codes],
    )  # fmt: skip
    tokenizer.save_pretrained(folder)
    return tokenizer


def mbart50_tokenizer(folder, texts):
    """SentencePiece's file and tokenizer_config.json, as the hub has them."""
    folder.mkdir(parents=True)
    train(folder / "sentencepiece.bpe.model", texts, **FAIRSEQ)
    settings = {"tokenizer_class": "MBart50Tokenizer", "model_max_length": 1024}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return transformers.MBart50Tokenizer.from_pretrained(folder)


def t5_tokenizer(folder, texts):
    folder.mkdir(parents=True)
    train(folder / "spiece.model", texts, **T5)
    settings = {"tokenizer_class": "T5Tokenizer", "model_max_length": 512, "extra_ids": 20}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return transformers.T5Tokenizer.from_pretrained(folder)


def nllb_tokenizer(folder, texts, **settings):
    """tokenizer.json and tokenizer_config.json, as NllbTokenizer saves them."""
    made = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token="<unk>", fuse_unk=True))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    names = ["<s>", "<pad>", "</s>", "<unk>"]
    made.train_from_iterator(
        texts, tokenizers.trainers.BpeTrainer(vocab_size=2600, special_tokens=names, show_progress=False)
    )
    model = json.loads(made.to_str())["model"]
    tokenizer = transformers.NllbTokenizer(
        vocab=model["vocab"], merges=[tuple(merge) for merge in model["merges"]], model_max_length=1024, **settings
    )
    tokenizer.save_pretrained(folder)
    return tokenizer


def mbart_tokenizer(folder, texts):
    """MBartTokenizer, of 25 languages, with the pieces of SentencePiece in tokenizer.json."""
    made = folder / "made"
    made.mkdir(parents=True)
    pieces = train(made / "sentencepiece.bpe.model", texts, **FAIRSEQ)
    names = transformers.models.mbart.tokenization_mbart.FAIRSEQ_LANGUAGE_CODES
    vocab = [(name, 0.0) for name in ("<s>", "<pad>", "</s>", "<unk>")]
    vocab += [(pieces.id_to_piece(i), pieces.get_score(i)) for i in range(3, pieces.get_piece_size())]
    vocab += [(name, 0.0) for name in [*names, "<mask>"]]
    tokenizer = transformers.MBartTokenizer(vocab=vocab, model_max_length=1024)
    tokenizer.save_pretrained(folder)
    return tokenizer


SMALL = dict(d_model=32, encoder_layers=1, decoder_layers=2, encoder_attention_heads=2, decoder_attention_heads=2,
             encoder_ffn_dim=64, decoder_ffn_dim=64)  # fmt: skip


def random_model(kind, config, seed, never=()):
    """A random model whose translations have many different tokens. `never` are tokens that it does not write."""
    torch.manual_seed(seed)
    model = getattr(transformers, kind)(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 2 and not (config.model_type == "marian" and "embed_positions" in name):
                parameter.normal_(0, 0.3)
    model.generation_config.bad_words_ids = [[token] for token in sorted({config.pad_token_id, *never})]
    model.generation_config.forced_eos_token_id = None
    return model
