"""Texts in many scripts, tokenizers trained on them, and qing's answers beside those of `tokenizers`."""

import json
import random
import subprocess

import tokenizers
from conftest import BUILD
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers

# First and last character of letters that words are made of.
SCRIPTS = {
    "latin": [(0x61, 0x7A), (0x41, 0x5A), (0xC0, 0xFF), (0x100, 0x17F)],
    "han": [(0x4E00, 0x9FA5)],
    "kana": [(0x3041, 0x3096), (0x30A1, 0x30FA)],
    "hangul": [(0xAC00, 0xD7A3), (0x1100, 0x1112), (0x1161, 0x1175)],
    "cyrillic": [(0x410, 0x44F), (0x450, 0x45F)],
    "greek": [(0x391, 0x3C9), (0x1F00, 0x1F15)],
    "arabic": [(0x621, 0x64A), (0x64B, 0x652), (0x660, 0x669)],
    "hebrew": [(0x5D0, 0x5EA), (0x5B0, 0x5BC)],
    "devanagari": [(0x904, 0x939), (0x93C, 0x94D), (0x966, 0x96F)],
    "thai": [(0xE01, 0xE3A), (0xE40, 0xE4E)],
}
SPICE = [
    "👍🏽",
    "👩‍👩‍👧",
    "☺️",
    "🇩🇪🇫",
    "e\u0301",
    "a\u0328\u0301",
    "\u1e9b\u0323",
    "\u0344\u0323",
    "\u0f73\u0f71",
    "\u200b",
    "\u200d",
    "\ufeff",
    "\u00ad",
    "\u2060",
    "\x01",
    "\x7f",
    "\x85",
    "\r\n",
    "\n",
    "\t",
    "\u2028",
    "\u3000",
    "\u00a0",
    "İ",
    "ΌΣΟΣ",
    "ǅ",
    "ẞ",
    "ﬁ",
    "½",
    "Ⅷ",
    "ｆｕｌｌ，",
    "\u212b",
    "\ufdfa",
    "\ufffd",
    "\U000e0001",
    "\ue000",
    "don't",
    "I'm",
    "we'll've",
    "'s",
    "$1,000.50",
    "#tag",
    "x" * 120,
    "``quoted''",
    "  ",
    "   ",
    "▁",
    "<s>",
    "</s>",
    "<mask>",
    "[SEP]",
    "[MASK]",
    "[UNK]",
    "[cls]",
    " <mask> ",
    "word<mask>word",
    "\u0915\u094d\u0937",
    "\u1112\u1161\u11ab",
    "𠀀𪜀",
    "𝒳𝔸",
    "…",
    "—",
    "«»",
    "。",
    "！",
    "\U0001f9ff",
    "\u1bc9d",
    "\U00010d50",
    "\ua7cb",
    "\u08d3",
    "\x00",
]


def lexicon(seed, per_script=300):
    rng = random.Random(seed)
    words = []
    for ranges in SCRIPTS.values():
        short = 1 if ranges[0][0] in (0x4E00, 0xAC00, 0x3041) else 2
        for _ in range(per_script):
            word = [
                chr(rng.randint(*rng.choice(ranges[:1] * 6 + ranges))) for _ in range(rng.randint(short, 4 * short + 2))
            ]
            words.append("".join(word))
    return words


def made_texts(count, seed):
    """Texts of a few words of one or more scripts, a tenth of them with something rare between."""
    rng = random.Random(seed)
    words = lexicon(1)
    per_script = len(words) // len(SCRIPTS)
    texts = []
    for i in range(count):
        home = (i % len(SCRIPTS)) * per_script
        text = []
        for _ in range(rng.randint(1, 14)):
            # Frequent words are frequent, as in a language.
            place = home if rng.random() < 0.9 else rng.randrange(len(SCRIPTS)) * per_script
            word = words[place + int(per_script * rng.random() ** 3)]
            roll = rng.random()
            if roll < 0.06:
                word = rng.choice(SPICE)
            elif roll < 0.10:
                word += rng.choice([".", ",", "!", "?", "-", "'s", rng.choice(SPICE)])
            elif roll < 0.12:
                word = "".join(rng.sample(word, len(word))) + chr(
                    rng.choice([rng.randint(0x20, 0x2FFF), rng.randint(0x10000, 0x1FFFF)])
                )
            text.append(word)
        texts.append(rng.choice([" ", " ", " ", "", "  "]).join(text) + rng.choice(["", "", " ", "\n"]))
    return ["", " ", "\t\n", *SPICE, *texts][:count]


def specials(names):
    return [tokenizers.AddedToken(name, special=True, normalized=False) for name in names]


BERT_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
ROBERTA_TOKENS = ["<s>", "<pad>", "</s>", "<unk>"]
MASK = tokenizers.AddedToken("<mask>", lstrip=True, special=True, normalized=False)


def wordpiece(texts, lowercase=True, size=4000):
    t = tokenizers.Tokenizer(models.WordPiece(unk_token="[UNK]"))
    t.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.train_from_iterator(
        texts, trainers.WordPieceTrainer(vocab_size=size, special_tokens=specials(BERT_TOKENS), show_progress=False)
    )
    t.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    t.decoder = decoders.WordPiece()
    return t


def byte_bpe(texts, add_prefix_space=False, size=3000):
    t = tokenizers.Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space)
    t.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=size,
            special_tokens=[*specials(ROBERTA_TOKENS), MASK],
            show_progress=False,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        ),
    )
    t.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=add_prefix_space)
    t.decoder = decoders.ByteLevel()
    return t


def unigram(texts, normalizer=None, size=4000, names=(*ROBERTA_TOKENS, MASK)):
    t = tokenizers.Tokenizer(models.Unigram())
    t.normalizer = normalizer or normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Replace(tokenizers.Regex(" {2,}"), " ")]
    )
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    t.train_from_iterator(
        texts,
        trainers.UnigramTrainer(
            vocab_size=size, special_tokens=list(names), unk_token=str(names[3]), show_progress=False
        ),
    )
    first, last = str(names[0]), str(names[2])
    t.post_processor = processors.TemplateProcessing(
        single=f"{first} $A {last}", pair=f"{first} $A {last} {last} $B {last}", special_tokens=[(first, 0), (last, 2)]
    )
    t.decoder = decoders.Metaspace()
    return t


def spelling_model():
    """Spells the normalised text byte by byte, so that ids show it."""
    return models.BPE(
        {**{f"<0x{b:02X}>": b for b in range(256)}, "<unk>": 256}, [], unk_token="<unk>", byte_fallback=True
    )


def answers(path, lines, *room):
    """What qing says to each line of tests/tools/tokenize_texts.cpp."""
    program = BUILD / "tokenize_texts"
    result = subprocess.run(
        [program, path, *map(str, room)],
        input="".join(json.dumps(line) + "\n" for line in lines),
        text=True,
        capture_output=True,
        timeout=600,
    )
    if result.returncode != 0:
        raise ValueError(result.stderr.strip())
    # splitlines() would cut at other line breaks too, which JSON need not escape.
    return [json.loads(line) for line in result.stdout.split("\n") if line]


def windows_of(encoding, text, second=None):
    """An encoding of `tokenizers` as tokenize_texts shows it."""
    shown = []
    for e in [encoding, *encoding.overflowing]:
        offsets = [list(o) for o in e.offsets]
        if second is not None:  # a pair's are in bytes
            sources = [text, second]
            for i, (begin, end) in enumerate(offsets):
                if e.sequence_ids[i] is not None and (begin, end) != (0, 0):
                    source = sources[e.sequence_ids[i]]
                    offsets[i] = [len(source[:begin].encode()), len(source[:end].encode())]
        shown.append({"ids": e.ids, "offsets": offsets, "type_ids": e.type_ids})
    return shown


def compare(path, theirs, texts, *room):
    """Ids, offsets and type ids of texts and pairs."""
    ours = answers(path, texts, *room)
    assert len(ours) == len(texts)
    wrong = []
    for text, mine in zip(texts, ours):
        other = theirs.encode(*text) if isinstance(text, (list, tuple)) else theirs.encode(text)
        wanted = windows_of(other, *text) if isinstance(text, (list, tuple)) else windows_of(other, text)
        got = (
            [{k: w[k] for k in ("ids", "offsets", "type_ids")} for w in mine["windows"]] if "windows" in mine else mine
        )
        if got != wanted:
            wrong.append((text, got, wanted, other.tokens))
    assert not wrong, f"{len(wrong)} of {len(texts)} differ, first: {wrong[0]}"
