"""Cleaning of Chinese-English sentence pairs from software: what a translation model should learn, and what it should not.

clean_pair() removes mark-up and keyboard accelerators, writes both sides in one form, and refuses pairs that are no
translations. Standard library of Python 3.11 only.
"""

import functools
import html
import re
import unicodedata

MOST_CHARACTERS = 600
# Characters of the English side for one of the Chinese side, about: a Chinese character says what 3 Latin ones say.
HAN_WIDTH = 3
MOST_RATIO, RATIO_SLACK = 2.5, 12

HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
FULL_MARKS = "，。；：？！、（）《》“”‘’「」『』…"
INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff\ufff9-\ufffb]")
TAG = re.compile(r"</?[a-zA-Z][a-zA-Z0-9]*(?:\s[^<>]*)?/?>")
LINK = re.compile(r"!?\[([^\[\]]*)\]\([^()\s]*\)")
EMPHASIS = re.compile(r"(\*\*|__)(?=\S)(.+?)(?<=\S)\1")
CODE = re.compile(r"`+([^`]*)`+")
BULLET = re.compile(r"^\s*(?:[-*•]\s+|#{1,6}\s+)")
CHINESE_ACCELERATOR = re.compile(r"\s?[(（][~_&]\w[)）]")
ICU_CHOICE = re.compile(r"\{\s*\w+\s*,\s*(?:plural|select|selectordinal)\b")
# {name}, {0}, %1, %s, %(name)s, %NAME, $(ARG1), $name, $1. A percent sign after a number is one of text.
PLACEHOLDER = re.compile(
    r"\{[\w.]+\}|\$\(\w+\)|\$\w+|%\(\w+\)[sd]|(?<![\d%])%(?:[1-9]\d?(?!\w)|[A-Z][A-Z0-9_]*(?:%|\b)|[sdifucx](?!\w)|\.\d+f|l+[du])"
)
PRODUCT = {"%PRODUCTNAME": "LibreOffice", "%OOOVENDOR": "The Document Foundation"}
ADDRESS = re.compile(r"(?:https?|ftp|mailto|file):\S+|\S+@\S+\.\w+|www\.\S+")
ENGLISH_QUOTES = str.maketrans({"“": '"', "”": '"', "„": '"', "‘": "'", "’": "'", "‚": "'", "′": "'", "…": "..."})
# Half-width marks beside Chinese text become the full-width ones of Chinese typography.
FULL_OF_HALF = {",": "，", ";": "；", ":": "：", "?": "？", "!": "！"}


class Refused(Exception):
    """The pair is none to learn from. The text is the reason, one of a few."""


@functools.cache
def is_traditional(character):
    """Whether the character set of Taiwan has it and that of the mainland has not."""

    def has(encoding):
        try:
            return bool(character.encode(encoding))
        except UnicodeEncodeError:
            return False

    return not has("gb2312") and has("big5")


def count_han(text):
    return sum(1 for c in text if "\u3400" <= c <= "\u4dbf" or "\u4e00" <= c <= "\u9fff" or "\uf900" <= c <= "\ufaff")


def without_accelerator(text, marker):
    """The text of a menu item without the sign for its key: "~File" and "文件(~F)" for "~", "_File" for "_"."""
    text = CHINESE_ACCELERATOR.sub("", text)
    if text.count(marker) == 1:
        return re.sub(re.escape(marker) + r"(?=\w)", "", text)
    return text


def without_markup(text):
    """The visible text of HTML and Markdown, with entities decoded."""
    text = TAG.sub(" ", text)
    text = html.unescape(text)
    text = LINK.sub(r"\1", text)
    text = EMPHASIS.sub(r"\2", text)
    text = CODE.sub(r"\1", text)
    return BULLET.sub("", text)


def in_one_form(text):
    """Unicode's composed form, without invisible characters, with single spaces. Full-width Latin becomes half-width."""
    text = INVISIBLE.sub("", unicodedata.normalize("NFC", text))
    text = "".join(chr(ord(c) - 0xFEE0) if "０" <= c <= "９" or "Ａ" <= c <= "Ｚ" or "ａ" <= c <= "ｚ" or c in "％＋－／＝" else c
                   for c in text)  # fmt: skip
    return " ".join(text.split())


def in_chinese_form(text):
    """Chinese text with full-width marks, and without spaces where Chinese has none."""
    text = in_one_form(text).replace("...", "…").replace("……", "…")
    text = re.sub(rf"(?<=[{HAN}）”」])\s*([,;:?!])(?![A-Za-z0-9])", lambda mark: FULL_OF_HALF[mark[1]], text)
    text = re.sub(rf"(?<=[{HAN}）”」])\.(?=$| [{HAN}])", "。", text)
    text = re.sub(rf"\s?\((?=[^()]*[{HAN}])([^()]*)\)\s?", r"（\1）", text)
    text = re.sub(rf"(?<=[{HAN}{FULL_MARKS}]) (?=[{HAN}{FULL_MARKS}])", "", text)
    text = re.sub(rf" (?=[{FULL_MARKS}])|(?<=[，。；：？！、（）]) ", "", text)
    return text.replace("「", "“").replace("」", "”").replace("『", "‘").replace("』", "’")


def with_product(text):
    for name, value in PRODUCT.items():
        text = text.replace(name, value)
    return text


def placeholders(text):
    return sorted(PLACEHOLDER.findall(text))


def check(en, zh):
    """Refuses what is no pair of an English and a Chinese text of the same meaning, as far as its form shows it."""
    if not en or not zh:
        raise Refused("empty")
    if en == zh:
        raise Refused("not translated")
    if max(len(en), len(zh)) > MOST_CHARACTERS:
        raise Refused("too long")
    if ICU_CHOICE.search(en) or ICU_CHOICE.search(zh):
        raise Refused("plural forms")
    if placeholders(en) != placeholders(zh):
        raise Refused("other placeholders")
    plain_en, plain_zh = (PLACEHOLDER.sub("", ADDRESS.sub("", text)) for text in (en, zh))
    han = count_han(zh)
    letters = sum(c.isalpha() and c.isascii() for c in plain_en)
    if count_han(en) or letters < 2 or letters < 0.6 * sum(c.isalpha() for c in plain_en):
        raise Refused("source not English")
    if not han or han < 0.2 * sum(c.isalpha() for c in plain_zh):
        raise Refused("target not Chinese")
    if any(is_traditional(c) for c in zh if c >= "\u3400"):
        raise Refused("traditional Chinese")
    width = len(plain_zh) + (HAN_WIDTH - 1) * han
    if len(plain_en) > MOST_RATIO * width + RATIO_SLACK or width > MOST_RATIO * len(plain_en) + RATIO_SLACK:
        raise Refused("lengths differ")


def clean_pair(en, zh, accelerator=None):
    """Returns the cleaned texts. `accelerator` is the sign that marks a menu item's key, or None. Refused."""
    if accelerator:
        en, zh = without_accelerator(en, accelerator), without_accelerator(zh, accelerator)
    en = in_one_form(with_product(without_markup(en))).translate(ENGLISH_QUOTES)
    zh = in_chinese_form(with_product(without_markup(zh)))
    check(en, zh)
    return en, zh


def lines_of_pair(en, zh):
    """A text of several paragraphs as pairs of its lines, where both sides have as many; else as one pair."""
    parts = [[line for line in text.replace("\\n", "\n").splitlines() if line.strip()] for text in (en, zh)]
    if len(parts[0]) == len(parts[1]):
        return list(zip(*parts, strict=True))
    return [(" ".join(parts[0]), " ".join(parts[1]))]


def key(text):
    """What two texts have in common that differ in case, marks, spaces and numbers only."""
    return "".join("0" if c.isdigit() else c for c in text.casefold() if c.isalnum())
