#!/usr/bin/env bash
# What: the normalisation "nfkc" of SentencePiece is not NFKC where a letter has several marks. It replaces the longest sequences of
# its table from left to right and does not sort marks first. A letter with a circumflex and a dot below becomes one character if the
# dot is written first, and stays two characters if the circumflex is a part of the letter already.
# Versions: sentencepiece 0.2.1, Python's unicodedata.
# A user meets it with Vietnamese text in the form of Windows-1258, which has letters like "ê" and the tone as a mark behind them:
# words that look the same, and are the same in NFKC, are split into other pieces or are unknown. The normalisation of the training
# data, which had the composed form, does not help.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check sentencepiece==0.2.1
"$folder/bin/pip" freeze | grep -iE '^(sentencepiece)=='
cd "$folder"
bin/python - <<'PY'
import io
import unicodedata

import sentencepiece

model = io.BytesIO()
sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(["việt nam việt ngữ một hai"] * 50), model_writer=model, vocab_size=40,
                                         normalization_rule_name="nfkc", hard_vocab_limit=False, minloglevel=2)  # fmt: skip
processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
forms = {"composed": "vi\u1ec7t", "marks in Unicode's order": "vie\u0323\u0302t", "letter of Windows-1258 and tone": "vi\u00ea\u0323t"}
seen = {}
for name, text in forms.items():
    normal = processor.normalize(text).replace("\u2581", "")
    seen[name] = normal == unicodedata.normalize("NFKC", text), processor.encode(text, out_type=str)
    print(f"{name}: {ascii(text)} becomes {ascii(normal)}, which is NFKC: {seen[name][0]}; pieces {ascii(seen[name][1])}")
right = [name for name, (equal, _) in seen.items() if equal]
same = right == list(forms)[:2] and seen[list(forms)[2]][1] != seen["composed"][1]
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
