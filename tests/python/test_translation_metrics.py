"""BLEU and chrF equal those of sacrebleu on random and on nasty texts, for a corpus and for each sentence."""

import json
import random
import subprocess

import pytest
from conftest import BUILD

sacrebleu = pytest.importorskip("sacrebleu")

TOLERANCE = 1e-9

NASTY = [
    "",
    " ",
    "a",
    "...",
    "3.14,15-16 a-b 7-\n8 x.",
    "&quot;quoted&quot; &amp; &amp;lt; <skipped> a<b>c",
    "don't (hi) [x] {y} ~z` @home a/b a\\b #1 50% $3 ^ _ | ;:?!=+*",
    "“弯引号” it’s … — 1–2 ½ → ∑",
    "𠀀𪜀 𝒳 ⅷ 〇 ㍿ ﹁ ｆｕｌｌ， ＡＢＣ！",
    "名词\u3000与\u00a0空格\u2003之\u2028间\x1c还\x85有",
    "USB3.0设备,版本2.5。",
    "日本語カタカナ한국어 ไทย",
    "👍🏽👩‍👩‍👧 e\u0301 zero\u200bwidth",
    "-- -5 5- .5 5. ,5 5, 1.2.3 a.b.c ..a",
    "trailing space \t\n",
]
WORDS = "the a cat, dog. sat-on 3.5 mat; 'it' 设备 打开文件， 网络 。 （可选） the the open {name} %1".split()


def random_text(rng):
    text = rng.choice(["", " "]).join(rng.choice(WORDS) for _ in range(rng.randrange(0, 15)))
    return text if rng.random() < 0.7 else text + chr(rng.choice([0x20AC, 0x4E00, 0xFF0C, 0x2026, 0xA0, 0x1F600]))


def worsened(rng, text):
    characters = list(text)
    for _ in range(rng.randrange(0, 5)):
        if characters:
            characters.pop(rng.randrange(len(characters)))
        characters.insert(rng.randrange(len(characters) + 1), rng.choice("a .,设-5"))
    return "".join(characters)


def corpora():
    rng = random.Random(11)
    yield "nasty", NASTY, [[text] for text in NASTY]
    yield "shifted", NASTY, [[text] for text in NASTY[1:] + NASTY[:1]]
    yield "no match", ["x y", "z"], [["a b"], ["c d e"]]
    for references in (1, 3):
        texts = [random_text(rng) for _ in range(200)]
        lists = [[worsened(rng, text) for _ in range(references)] for text in texts]
        yield f"{references} references", texts, lists
    yield "short", ["好", "a b"], [["好"], ["a b"]]


@pytest.mark.parametrize("name,translations,references", list(corpora()), ids=lambda value: value if isinstance(value, str) else "")
def test_scores_equal_those_of_sacrebleu(name, translations, references):
    asked = json.dumps({"translations": translations, "references": references})
    run = subprocess.run([BUILD / "translation_scores"], input=asked, capture_output=True, text=True, check=True)
    ours = json.loads(run.stdout)
    streams = [list(stream) for stream in zip(*references, strict=True)]
    for tokenizer in ("13a", "zh", "char", "none"):
        metric = sacrebleu.BLEU(tokenize=tokenizer)
        theirs = metric.corpus_score(translations, streams)
        mine = ours[tokenizer]
        assert mine["score"] == pytest.approx(theirs.score, abs=TOLERANCE), tokenizer
        assert mine["precisions"] == pytest.approx(theirs.precisions, abs=TOLERANCE)
        assert (mine["sys_len"], mine["ref_len"]) == (theirs.sys_len, theirs.ref_len)
        assert mine["bp"] == pytest.approx(theirs.bp, abs=TOLERANCE)
        assert mine["signature"] == metric.get_signature().format()
        alone = sacrebleu.BLEU(tokenize=tokenizer, effective_order=True)
        scores = [alone.sentence_score(text, refs).score for text, refs in zip(translations, references, strict=True)]
        assert mine["sentences"] == pytest.approx(scores, abs=TOLERANCE)
    for name, word_order in (("chrF2", 0), ("chrF2++", 2)):
        metric = sacrebleu.CHRF(word_order=word_order)
        assert ours[name]["score"] == pytest.approx(metric.corpus_score(translations, streams).score, abs=TOLERANCE), name
        assert ours[name]["signature"] == metric.get_signature().format()
        scores = [metric.sentence_score(text, refs).score for text, refs in zip(translations, references, strict=True)]
        assert ours[name]["sentences"] == pytest.approx(scores, abs=TOLERANCE), name
