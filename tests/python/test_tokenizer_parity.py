"""Token ids equal those of the `tokenizers` library on the tokenizer.json that qing writes."""

import json
import random

import pytest

tokenizers = pytest.importorskip("tokenizers")

NASTY = [
    "Naïve café – Ångström, İstanbul IS big, ΌΣΟΣ ςΣ",
    "ｆｕｌｌ　ｗｉｄｔｈ，ＡＢＣ！",
    "👍🏽👩‍👩‍👧 emoji ☺️ ❤️",
    "zero\u200bwidth\u200djoin\ufeffbom\u00adsoft\u2060word",
    "e\u0301 a\u0328\u0301 \u1e9b\u0323 combining",
    "한국어 조합 \u1112\u1161\u11ab ไทย हिन्दी العربية",
    "x" * 100 + " " + "y" * 101,
    "literal [SEP] and [MASK] and[CLS]glued [UNK] [pad] [PAD]",
    "tab\tnew line\u2028para\u2029\u3000ideographic\u00a0nbsp\x01\x7f\x85",
    "$1,000.50 + 20% ~ ^x^ `code` <a|b> «quoted» ‘x’ 。、「」",
    "𠀀𪜀 𝒳 Ⅷ ½ ﬁ ǅ ẞ \ufffd \U000e0001",
    "don't can't I'm  multiple   spaces ",
    "",
    " ",
]


def compare(qing, model_dir, tmp_path, lines, theirs=None):
    lines = [line.replace("\n", " ").replace("\r", " ") for line in lines]
    path = tmp_path / "lines.txt"
    path.write_bytes("".join(line + "\n" for line in lines).encode())
    ours = [json.loads(line) for line in qing("tokenize", "--model", model_dir, "--ids", path).stdout.splitlines()]
    theirs = theirs or tokenizers.Tokenizer.from_file(str(model_dir / "tokenizer.json"))
    assert len(ours) == len(lines)
    wrong = [
        (line, mine, other.ids)
        for line, mine, other in zip(lines, ours, theirs.encode_batch(lines))
        if mine != other.ids
    ]
    assert not wrong, f"{len(wrong)} of {len(lines)} differ, first: {wrong[0]}"


def test_thousand_lines_of_both_languages(qing, model_dir, data_dir, tmp_path):
    lines = []
    for name in ("en.dev.tsv", "zh.dev.tsv"):
        rows = (data_dir / name).read_text(encoding="utf-8").split("\n")[1:501]
        lines += [row.split("\t")[2] for row in rows]
    assert len(lines) == 1000
    compare(qing, model_dir, tmp_path, lines)


def test_characters_that_tokenizers_get_wrong(qing, model_dir, tmp_path):
    compare(qing, model_dir, tmp_path, NASTY)


def random_lines(seed):
    rng = random.Random(seed)
    # Blocks whose classification has been stable in Unicode for long, because the libraries use different Unicode versions.
    blocks = [(0x20, 0x7E), (0xA1, 0x17F), (0x300, 0x36F), (0x391, 0x3C9), (0x400, 0x45F), (0x2010, 0x2027),
              (0x3001, 0x3020), (0x3041, 0x3096), (0x4E00, 0x9FA5), (0xAC00, 0xD7A3), (0xFF01, 0xFF5E)]  # fmt: skip
    lines = []
    for _ in range(2000):
        begin, end = rng.choice(blocks)
        characters = [chr(rng.randint(begin, end)) for _ in range(rng.randint(1, 20))]
        characters += [chr(rng.randint(*rng.choice(blocks))) for _ in range(rng.randint(0, 20))]
        rng.shuffle(characters)
        lines.append("".join(characters))
    return lines


def test_random_unicode(qing, model_dir, tmp_path):
    compare(qing, model_dir, tmp_path, random_lines(11))


@pytest.mark.parametrize("lowercase", [True, False])
@pytest.mark.parametrize("strip_accents", [None, True, False])
@pytest.mark.parametrize("chinese", [True, False])
def test_every_setting_of_the_normalizer(qing, tmp_path, lowercase, strip_accents, chinese):
    """From tokenizer.json alone, and from vocab.txt with tokenizer_config.json."""
    lines = NASTY + random_lines(12)[:300] + ["Café CAFÉ café 电影好看a电影", "É é e\u0301 É"]
    characters = sorted(set("".join(lines + [line.lower() for line in lines])))
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cafe", "café", "CAFÉ", "CAFE", "##影好"]
    vocabulary += [c for c in characters if c.isprintable()] + ["##" + c for c in characters if c.isprintable()]
    ids = {token: i for i, token in enumerate(vocabulary)}
    normalizer = tokenizers.normalizers.BertNormalizer(True, chinese, strip_accents, lowercase)
    theirs = tokenizers.Tokenizer(tokenizers.models.WordPiece(ids, unk_token="[UNK]", max_input_chars_per_word=100))
    theirs.normalizer = normalizer
    theirs.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    theirs.post_processor = tokenizers.processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    theirs.add_special_tokens(vocabulary[:5])
    theirs.enable_truncation(128)
    folder = tmp_path / "tokenizer"
    folder.mkdir()
    theirs.save(str(folder / "tokenizer.json"))
    compare(qing, folder, tmp_path, lines, theirs)
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.txt").write_text("".join(token + "\n" for token in vocabulary), encoding="utf-8")
    settings = {"do_lower_case": lowercase, "strip_accents": strip_accents, "tokenize_chinese_chars": chinese}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    compare(qing, folder, tmp_path, lines, theirs)
