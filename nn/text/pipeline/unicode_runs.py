"""Writes unicode_runs.inl: the properties that each code point has in `tokenizers`.

    python unicode_runs.py > unicode_runs.inl

The crates below `tokenizers` hold the tables of different versions of Unicode: categories of 8, normalisation of 9,
letters and numbers of Oniguruma's version, case and grapheme clusters of 17. Ids are equal only when each property has
its own version. So the script asks the installed `tokenizers` for every property of every code point. Grapheme clusters
cannot be asked for; the package `regex` has them in the same version. tests/python/test_tokenizer_code_points.py holds
the result against `tokenizers` again.
"""

import unicodedata

import regex
import tokenizers
from tokenizers import normalizers, pre_tokenizers

CODE_POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]

# The order of enum class GraphemeBreak in unicode_properties.h.
BREAKS = ["Other", "CR", "LF", "Control", "Extend", "ZWJ", "Regional_Indicator", "Prepend", "SpacingMark",
          "L", "V", "T", "LV", "LVT", "Pictographic"]  # fmt: skip
CONJUNCTS = ["None", "Consonant", "Extend", "Linker"]
# The order of the bits that follow combining class, grapheme break and conjunct break.
FLAGS = ["punctuation", "removed", "nonspacing", "space", "numeric", "letter", "number", "word", "mark", "decomposes",
         "decomposes_compatibly", "lowered", "composite"]  # fmt: skip
FIRST_FLAG = 14


def isolated(pre_tokenizer, around="a"):
    return lambda c: len(pre_tokenizer.pre_tokenize_str(around + chr(c) + around)) == 3


def dropped(normalizer):
    return lambda c: normalizer.normalize_str("a" + chr(c) + "a") == "aa"


def changed(normalizer):
    return lambda c: normalizer.normalize_str(chr(c)) != chr(c)


def category(name):
    return isolated(pre_tokenizers.Split(tokenizers.Regex(rf"\p{{{name}}}"), "isolated"), "\u2028")


def bert(**options):
    names = dict.fromkeys(["clean_text", "handle_chinese_chars", "strip_accents", "lowercase"], False)
    return normalizers.BertNormalizer(**{**names, **options})


TESTS = {
    "punctuation": isolated(pre_tokenizers.Punctuation()),
    "removed": dropped(bert(clean_text=True)),
    "nonspacing": dropped(bert(strip_accents=True)),
    "space": lambda c: not pre_tokenizers.WhitespaceSplit().pre_tokenize_str(chr(c)),
    "numeric": isolated(pre_tokenizers.Digits()),
    "letter": category("L"),
    "number": category("N"),
    "word": lambda c: len(pre_tokenizers.Whitespace().pre_tokenize_str("a" + chr(c) + "a")) == 1,
    "mark": dropped(normalizers.StripAccents()),
    "decomposes": changed(normalizers.NFD()),
    "decomposes_compatibly": changed(normalizers.NFKD()),
    "lowered": changed(normalizers.Lowercase()),
    "composite": lambda c: changed(normalizers.NFD())(c) and not changed(normalizers.NFC())(c),
}


def combining_class(c):
    """A mark moves before U+0345, whose class of 240 is the highest, when `tokenizers` knows its class."""
    moves = normalizers.NFD().normalize_str("\u0345" + chr(c)) != "\u0345" + normalizers.NFD().normalize_str(chr(c))
    return unicodedata.combining(chr(c)) if moves or c == 0x345 else 0


def matches(pattern):
    compiled = regex.compile(pattern)
    return {c for c in CODE_POINTS if compiled.match(chr(c))}


def write(name, entries, per_line):
    print(f"inline constexpr {name}[] = {{")
    for i in range(0, len(entries), per_line):
        print("    " + " ".join(entries[i : i + per_line]))
    print("};")


def property_runs():
    breaks = {c: i for i, name in enumerate(BREAKS[1:-1], 1) for c in matches(rf"\p{{GCB={name}}}")}
    pictographic = matches(r"\p{Extended_Pictographic}")
    conjuncts = {c: i for i, name in enumerate(CONJUNCTS[1:], 1) for c in matches(rf"\p{{InCB={name}}}")}
    tests = [TESTS[name] for name in FLAGS]
    runs, last = [], None
    for c in CODE_POINTS:
        value = combining_class(c)
        value |= (breaks.get(c) or (BREAKS.index("Pictographic") if c in pictographic else 0)) << 8
        value |= conjuncts.get(c, 0) << 12
        for i, test in enumerate(tests):
            value |= test(c) << (FIRST_FLAG + i)
        if value != last:
            runs.append(f"{{{c:#x}, {value:#x}}},")
        last = value
    return runs


def case_runs():
    """(first, last, step, difference) of code points with one lower case."""
    runs = []
    lower = normalizers.Lowercase()
    for c in CODE_POINTS:
        to = lower.normalize_str(chr(c))
        if len(to) != 1 or to == chr(c):
            continue
        difference = ord(to) - c
        if runs and runs[-1][3] == difference:
            first, last, step, _ = runs[-1]
            if c - last in ((1, 2) if first == last else (step,)):
                runs[-1][1:3] = [c, c - last]
                continue
        runs.append([c, c, 1, difference])
    return [f"{{{a:#x}, {b:#x}, {step}, {difference}}}," for a, b, step, difference in runs]


print("// Written by unicode_runs.py; do not edit. Of tokenizers", tokenizers.__version__)
print("// clang-format off")
write("PropertyRun kPropertyRuns", property_runs(), 5)
write("CaseRun kCaseRuns", case_runs(), 4)
