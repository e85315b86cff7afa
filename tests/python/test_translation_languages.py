"""Texts are translated from the files of SentencePiece that models are published with, in the language that is asked
for."""

import json

import pytest
from conftest import ask, served

pytest.importorskip("sentencepiece")
torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
from sentencepiece_models import (  # noqa: E402
    SMALL,
    m2m100_tokenizer,
    marian_tokenizer,
    mbart50_tokenizer,
    mbart_tokenizer,
    nllb_tokenizer,
    random_model,
    t5_tokenizer,
)
from tokenizer_peers import made_texts  # noqa: E402

TRAINING = made_texts(2500, 5)
# A translator keeps the white space around a line, which the tokenizers of the originals drop.
TEXTS = [text.strip() for text in made_texts(30, 8) if text.strip() and text.isprintable()]


def marian(folder, languages=("fra", "cmn_Hans")):
    tokenizer = marian_tokenizer(folder, TRAINING, languages)
    pad, end = tokenizer.pad_token_id, tokenizer.eos_token_id
    config = transformers.MarianConfig(
        **SMALL, vocab_size=len(tokenizer), decoder_vocab_size=len(tokenizer), max_position_embeddings=512,
        pad_token_id=pad, eos_token_id=end, decoder_start_token_id=pad, num_beams=3,
    )  # fmt: skip
    return tokenizer, random_model("MarianMTModel", config, 1)


def random_of(family, tokenizer, seed, more_rows=0):
    """A model of M2M-100's or mBART's kind; with `more_rows` rows that the tokenizer does not use."""
    config = getattr(transformers, f"{family}Config")(
        **SMALL, vocab_size=len(tokenizer) + more_rows, max_position_embeddings=1024, decoder_start_token_id=2
    )
    return tokenizer, random_model(f"{family}ForConditionalGeneration", config, seed)


def m2m100(folder):
    return random_of("M2M100", m2m100_tokenizer(folder, TRAINING), 2, more_rows=8)


def mbart50(folder):
    return random_of("MBart", mbart50_tokenizer(folder, TRAINING), 3)


def nllb(folder):
    return random_of("M2M100", nllb_tokenizer(folder, TRAINING), 5)


def mbart(folder):
    return random_of("MBart", mbart_tokenizer(folder, TRAINING), 6)


def t5(folder):
    tokenizer = t5_tokenizer(folder, TRAINING)
    config = transformers.T5Config(
        vocab_size=len(tokenizer), d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4, decoder_start_token_id=0
    )
    return tokenizer, random_model("T5ForConditionalGeneration", config, 4)


def generated(tokenizer, model, texts, beams, **options):
    found = []
    for text in texts:
        ids = tokenizer(text, return_tensors="pt")
        with torch.no_grad():
            row = model.generate(input_ids=ids["input_ids"], attention_mask=ids["attention_mask"], num_beams=beams,
                                 max_new_tokens=20, do_sample=False, **options)[0]  # fmt: skip
        found.append(tokenizer.decode(row, skip_special_tokens=True))
    return found


def translated(qing, folder, texts, beams, *arguments):
    told = qing("translate", "--model", folder, "--beam", beams, "--max-tokens", 20, "--json", *arguments, "--", *texts)
    return [json.loads(line)["translation"] for line in told.stdout.split("\n") if line]


MULTILINGUAL = {
    "m2m100": (m2m100, ("en", "zh"), ("de", "fr")),
    "mbart50": (mbart50, ("en_XX", "zh_CN"), ("de_DE", "hi_IN")),
    "mbart": (mbart, ("en_XX", "zh_CN"), ("de_DE", "hi_IN")),
    "nllb": (nllb, ("eng_Latn", "zho_Hans"), ("deu_Latn", "fra_Latn")),
}


@pytest.mark.parametrize("family", MULTILINGUAL)
def test_languages_of_source_and_target(family, qing, tmp_path):
    make, *pairs = MULTILINGUAL[family]
    tokenizer, model = make(tmp_path / "model")
    model.save_pretrained(tmp_path / "model")
    seen = []
    for source, target in pairs:
        tokenizer.src_lang = source
        forced = tokenizer.convert_tokens_to_ids(f"__{target}__" if family == "m2m100" else target)
        for beams in (1, 3):
            theirs = generated(tokenizer, model, TEXTS, beams, forced_bos_token_id=forced)
            ours = translated(qing, tmp_path / "model", TEXTS, beams, "--from", source, "--to", target)
            # Lines of qing keep the spaces that they begin with; transformers' mBART does not strip.
            assert [text.strip() for text in ours] == [text.strip() for text in theirs]
            seen.append(ours)
    assert len({tuple(each) for each in seen}) == 4, "the languages change nothing"
    assert len(set(seen[0])) > len(TEXTS) // 2
    # Without --from it is the language that the tokenizer has by itself.
    assert translated(qing, tmp_path / "model", TEXTS[:4], 1, "--to", pairs[0][1]) == seen[0][:4]


@pytest.mark.parametrize("family", MULTILINGUAL)
def test_languages_that_are_not_there_are_refused(family, qing, tmp_path):
    make, (source, target), _ = MULTILINGUAL[family]
    _, model = make(tmp_path / "model")
    model.save_pretrained(tmp_path / "model")
    for arguments, message in [
        (("--to", "tlh"), "the model has no token for the language 'tlh'; it has "),
        (("--from", "tlh", "--to", target), "the model has no token for the language 'tlh'"),
        (("--from", source), "give the language to translate to; the model has "),
    ]:
        told = qing("translate", "--model", tmp_path / "model", *arguments, "a", check=False)
        assert told.returncode == 1 and message in told.stderr and not told.stdout, told.stderr
        assert target in told.stderr, "the languages are listed"
    # The settings of the tokenizer and of the model stand for what a request leaves out.
    config = tmp_path / "model/tokenizer_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"tgt_lang": target, "src_lang": source}))
    assert translated(qing, tmp_path / "model", ["a b"], 1) == translated(
        qing, tmp_path / "model", ["a b"], 1, "--from", source, "--to", target
    )


def test_marian_puts_the_language_in_front(qing, tmp_path):
    tokenizer, model = marian(tmp_path / "model")
    model.save_pretrained(tmp_path / "model")
    seen = []
    for language in ("fra", "cmn_Hans"):
        for beams in (1, 3):
            theirs = generated(tokenizer, model, [f">>{language}<<{text}" for text in TEXTS], beams)
            ours = translated(qing, tmp_path / "model", TEXTS, beams, "--to", language)
            assert ours == theirs
            seen.append(tuple(ours))
    assert len(set(seen)) == 4
    assert translated(qing, tmp_path / "model", TEXTS, 1) == generated(tokenizer, model, TEXTS, 1), "without a language"
    told = qing("translate", "--model", tmp_path / "model", "--to", "tlh", "a", check=False)
    assert told.returncode == 1 and "no token for the language 'tlh'; it has fra, cmn_Hans" in told.stderr


def test_models_of_one_direction_and_t5(qing, tmp_path):
    for name, (tokenizer, model) in {
        "marian": marian(tmp_path / "marian", ()),
        "t5": t5(tmp_path / "t5"),
    }.items():
        model.save_pretrained(tmp_path / name)
        for beams in (1, 4):
            theirs = generated(tokenizer, model, TEXTS, beams)
            assert translated(qing, tmp_path / name, TEXTS, beams) == theirs, name
        told = qing("translate", "--model", tmp_path / name, "--to", "fra", "a", check=False)
        assert told.returncode == 1 and "the model has no token for the language 'fra'" in told.stderr


def test_a_server_translates_into_the_language_of_the_request(qing, tmp_path):
    _, model = m2m100(tmp_path / "models/m2m/1")
    model.save_pretrained(tmp_path / "models/m2m/1")
    expected = {
        language: translated(qing, tmp_path / "models/m2m/1", TEXTS[:8], 2, "--to", language)
        for language in ("de", "zh")
    }
    with served(qing, tmp_path / "models") as endpoint:
        url = endpoint + "/v1/models/m2m/translate"
        for language, texts in expected.items():
            body = {"texts": TEXTS[:8], "target": language, "beam_size": 2, "max_tokens": 20}
            status, _, answer = ask(url, body)
            assert status == 200 and [each["text"] for each in answer["translations"]] == texts
        for body in ({"texts": ["a"], "target": "tlh"}, {"texts": ["a"]}):
            status, _, answer = ask(url, body)
            assert status == 422 and "zh" in json.dumps(answer)
