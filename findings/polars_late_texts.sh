#!/usr/bin/env bash
# What: polars' read_excel decides a column's type by its first 1000 rows, and a text below them in a column of numbers becomes
# null. Nothing is said about it. Numbers below a column of texts, and fractions below whole numbers, are kept. One expects an
# error, as polars' read_csv gives one for the same table, or a column of texts.
# Versions: polars 2.1.0 with fastexcel 0.21.0 (the default engine), openpyxl 3.1.5 to write the workbook.
# A user meets it with labels or codes: 1 to 5 in most rows, and "unknown" or "4-5" where somebody was in doubt. These rows lose
# their label, and a filter for nulls drops them. infer_schema_length=None reads all texts.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check polars==2.1.0 fastexcel==0.21.0 openpyxl==3.1.5
"$folder/bin/pip" freeze | grep -iE '^(polars|fastexcel|openpyxl)=='
cd "$folder"
bin/python -W ignore - <<'PY'
import openpyxl
import polars

cells = [1] * 1000 + ["unknown", "4-5"]
rows = [("row", "stars"), *enumerate(cells)]
book = openpyxl.Workbook()
for row in rows:
    book.active.append(row)
book.save("stars.xlsx")
with open("stars.csv", "w") as file:
    file.writelines(f"{row},{cell}\n" for row, cell in rows)

column = polars.read_excel("stars.xlsx")["stars"]
print("read_excel:", column.dtype, "nulls", column.null_count(), "last cells", column[-3:].to_list())
whole = polars.read_excel("stars.xlsx", infer_schema_length=None)["stars"]
print("read_excel, all rows looked at:", whole.dtype, "nulls", whole.null_count(), "last cells", whole[-3:].to_list())
try:
    polars.read_csv("stars.csv", infer_schema_length=1000)
    refused = False
except polars.exceptions.ComputeError:
    refused = True
print("read_csv refuses the same table:", refused)
same = column.dtype == polars.Int64 and column.null_count() == 2 and whole[-1] == "4-5" and refused

print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
