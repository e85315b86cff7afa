"""Every code point is to qing what it is to `tokenizers`, whose tables are of several versions of Unicode."""

import pytest

tokenizers = pytest.importorskip("tokenizers")
from tokenizers import Regex, models, normalizers, pre_tokenizers  # noqa: E402
from tokenizer_peers import compare, spelling_model  # noqa: E402

ALL = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
# Planes 3 to 13 hold some ideographs and nothing else.
ASSIGNED = [c for c in ALL if c < 0x33480 or 0xE0000 <= c < 0xE0200 or c % 997 == 0]


def lines(code_points, before, after, per_line=120):
    parts = [before + chr(c) + after for c in code_points]
    return ["".join(parts[i : i + per_line]) for i in range(0, len(parts), per_line)]


def test_bert_on_all_code_points(tmp_path):
    """Cleanup, accents, case, white space and punctuation at once."""
    theirs = tokenizers.Tokenizer(spelling_model())
    theirs.normalizer = normalizers.BertNormalizer()
    theirs.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    theirs.save(str(tmp_path / "tokenizer.json"))
    compare(tmp_path / "tokenizer.json", theirs, lines(ALL, "a", "b"))
    # Where words end, a model of whole words shows.
    theirs.model = models.WordLevel({"<unk>": 0}, unk_token="<unk>")
    theirs.save(str(tmp_path / "words.json"))
    compare(tmp_path / "words.json", theirs, lines(ASSIGNED, "a", "b "))


NORMALIZERS = {
    "nfc": normalizers.NFC(),
    "nfd": normalizers.NFD(),
    "nfkc": normalizers.NFKC(),
    "nfkd": normalizers.NFKD(),
    "lower": normalizers.Lowercase(),
    "accents": normalizers.StripAccents(),
}


@pytest.mark.parametrize("name", NORMALIZERS)
def test_normalizers(tmp_path, name):
    theirs = tokenizers.Tokenizer(spelling_model())
    theirs.normalizer = NORMALIZERS[name]
    theirs.save(str(tmp_path / "tokenizer.json"))
    # Marks on both sides show combining classes and compositions.
    compare(tmp_path / "tokenizer.json", theirs, lines(ASSIGNED, "o\u0323", "\u0327\u0301"))


PRE_TOKENIZERS = {
    "words": pre_tokenizers.Whitespace(),
    "white": pre_tokenizers.WhitespaceSplit(),
    "digits": pre_tokenizers.Digits(True),
    "punctuation": pre_tokenizers.Punctuation(),
    "bytes": pre_tokenizers.ByteLevel(False),
    "letters": pre_tokenizers.Split(Regex(r"[\p{L}]+"), "isolated"),
}


@pytest.mark.parametrize("name", PRE_TOKENIZERS)
def test_pre_tokenizers(tmp_path, name):
    theirs = tokenizers.Tokenizer(models.WordLevel({"<unk>": 0}, unk_token="<unk>"))
    theirs.pre_tokenizer = PRE_TOKENIZERS[name]
    theirs.save(str(tmp_path / "tokenizer.json"))
    compare(tmp_path / "tokenizer.json", theirs, lines(ASSIGNED, "a", "b1-"))
