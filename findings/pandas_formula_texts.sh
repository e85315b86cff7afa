#!/usr/bin/env bash
# What: a text that begins with an equals sign is written to a workbook as a formula. The formula has no stored value, so
# reading the same file gives NaN in its place. Nothing warns, neither when it is written nor when it is read.
# Versions: pandas 3.1.1, openpyxl 3.1.5, numpy 2.4.6.
# A user meets it with texts of people ("= exactly what I wanted", "=)") that go from one colleague to the next as a
# workbook: the rows lose their text, and a cleaning step that drops missing values drops them with their labels.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check pandas==3.1.1 openpyxl==3.1.5 numpy==2.4.6
"$folder/bin/pip" freeze
cd "$folder"
bin/python -W error - <<'PY'
import openpyxl, pandas

texts = ["=) just lovely", "= exactly what I wanted", "fine = fine", "'=quoted"]
pandas.DataFrame({"text": texts, "label": "positive"}).to_excel("texts.xlsx", index=False)
back = pandas.read_excel("texts.xlsx")["text"].tolist()
cells = openpyxl.load_workbook("texts.xlsx").active
for row, (text, read) in enumerate(zip(texts, back), start=2):
    print(f"{text!r}: cell of type {cells.cell(row, 1).data_type!r}, read as {read!r}")
lost = [not isinstance(read, str) for read in back]
same = lost == [True, True, False, False]
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
