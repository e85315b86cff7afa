"""The pairs of examples/fetch_translation_data.py: what is read from small packages, cleaned, split and written."""

import hashlib
import json
import shutil
import struct
import subprocess
import sys
import zipfile

import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "examples"))
import fetch_translation_data as fetch  # noqa: E402
from pinned_packages import FetchError, Package  # noqa: E402
from translation_pairs import Refused, clean_pair, key, lines_of_pair  # noqa: E402

PAGE = """<html><head><title>x</title></head><body><p class="a">{other}</p>
<h1 id="hd_id1" dir="auto">  {title}</h1>
<div><p id="par_id2" class="paragraph"><a name="b"></a>{press} <span class="switchinline"><span hidden="true" class="MAC"><span
 class="keycode">Command</span></span><span hidden="true"><span class="keycode">Ctrl</span></span></span>+F&nbsp;&amp; <b>OK</b>.<br>{more}</p></div>
<p id="par_id3">LibreOffice</p></body></html>"""


def catalogue(messages):
    """The bytes of a .mo file (GNU gettext manual, "The Format of GNU MO Files")."""
    table = sorted([("", "Content-Type: text/plain; charset=UTF-8\n"), *messages])
    strings, places = b"", [[], []]
    for side in (0, 1):
        for entry in table:
            text = entry[side].encode()
            places[side].append((len(text), 28 + 16 * len(table) + len(strings)))
            strings += text + b"\0"
    header = struct.pack("<7I", 0x950412DE, 0, len(table), 28, 28 + 8 * len(table), 0, 0)
    return header + b"".join(struct.pack("<2I", *place) for side in places for place in side) + strings


def wheel(path, files):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, json.dumps(content, ensure_ascii=False))
    return path


CLEANED = [
    ("~File", "文件(~F)", "~", "File", "文件"),
    ("E_xit", "退出(_X)", "_", "Exit", "退出"),
    ("snake_case_name here", "名为 snake_case_name 的值", "_", "snake_case_name here", "名为 snake_case_name 的值"),
    ("Save &amp; close %PRODUCTNAME", "保存并关闭 %PRODUCTNAME", "~", "Save & close LibreOffice", "保存并关闭 LibreOffice"),
    ("Add **{name}** to [the docs]({url}).", "将**{name}**添加到[文档]({url})。", None, "Add {name} to the docs.", "将{name}添加到文档。"),
    ("“Quoted” – it’s", "「引用」的内容", None, '"Quoted" – it\'s', "“引用”的内容"),
    ("Stop now, please...", "现在停止,好吗 ？", None, "Stop now, please...", "现在停止，好吗？"),
    ("Page (optional) here", "页面 (可选) 在此", None, "Page (optional) here", "页面（可选）在此"),
    ("Open the window", "打开\u200b窗口\ufeff.", None, "Open the window", "打开窗口。"),
    ("Use ABC 12", "使用 ＡＢＣ １２", None, "Use ABC 12", "使用 ABC 12"),
    ("%1 of %2 rows, 50% done", "%2 行中的 %1 行，已完成 50%", None, "%1 of %2 rows, 50% done", "%2 行中的 %1 行，已完成 50%"),
]  # fmt: skip


@pytest.mark.parametrize("en,zh,accelerator,clean_en,clean_zh", CLEANED)
def test_a_pair_is_cleaned(en, zh, accelerator, clean_en, clean_zh):
    assert clean_pair(en, zh, accelerator) == (clean_en, clean_zh)


REFUSED = [
    ("Password", "Password", "not translated"),
    ("", "空", "empty"),
    ("Open {file}", "打开文件", "other placeholders"),
    ("{n, plural, one {# day} other {# days}}", "{n, plural, other {# 天}}", "plural forms"),
    ("The value of the field", "The value of 字", "target not Chinese"),
    ("设置 value", "设置数值", "source not English"),
    ("Network settings", "網路設定", "traditional Chinese"),
    ("Yes", "这一项的含义在上文的第三段里已经说得非常清楚了请参阅", "lengths differ"),
    ("word " * 200, "词" * 300, "too long"),
]


@pytest.mark.parametrize("en,zh,reason", REFUSED)
def test_what_is_no_pair_is_refused(en, zh, reason):
    with pytest.raises(Refused, match=reason):
        clean_pair(en, zh)


def test_paragraphs_are_paired_line_by_line_if_both_sides_have_as_many():
    assert lines_of_pair("One.\n\nTwo.", "一。\n二。") == [("One.", "一。"), ("Two.", "二。")]
    assert lines_of_pair("One.\nTwo.", "一。二。") == [("One. Two.", "一。二。")]
    assert key("Zone 1, (on)") == key("zone 22 ON".replace("22", "2"))


def small_sources(folder):
    """All sources, small. The names of documents are such that the hash puts some into each part."""
    english = [("./usr/text/a.html", PAGE.format(other="no id", title="The title of all", press="Press", more="Then wait.")),
               ("./usr/text/only.html", "<p id='par_id9'>Only here</p>")]  # fmt: skip
    chinese = [("./usr/text/a.html", PAGE.format(other="无", title="总标题", press="请按", more="然后请等待。"))]
    pairs = list(fetch.help_pairs(*([(path, page.encode()) for path, page in side] for side in (english, chinese))))
    messages = [(f"window{i}|label\x04_Item of window {word}", f"窗口{han}的条目(_I)")
                for i, (word, han) in enumerate(zip("abcdefghijklmnopqrst", "甲乙丙丁戊己庚辛壬癸子丑寅卯辰巳午未申酉", strict=True))]  # fmt: skip
    messages += [(f"window{i}|ok\x04_OK then", "好的，确定(_O)") for i in range(20)]
    pairs += fetch.catalogue_pairs([("x/sw.mo", catalogue(messages))])
    pairs += fetch.home_pairs(wheel(folder / "home.whl", {
        "homeassistant/components/abc/translations/en.json": {"a": {"b": "Set up {name}"}, "c": "First line\nSecond line", "n": 3},
        "homeassistant/components/abc/translations/zh-Hans.json": {"a": {"b": "设置 {name}"}, "c": "第一行\n第二行", "d": "无"},
        "homeassistant/components/xyz/translations/en.json": {"a": "Alone"},
    }))  # fmt: skip
    pairs += fetch.hsk_pairs(wheel(folder / "hsk.whl", {
        "hsk_sentences_audio/data/sentences.json": [
            {"hsk_level": 1, "topic": "greetings", "chinese": "老师，您好！", "translation": {"en": "Hello, teacher!"}}]}))  # fmt: skip
    return pairs


def test_pages_give_the_general_variant_of_each_paragraph(tmp_path):
    pairs = [pair for pair in small_sources(tmp_path) if pair.source == "help"]
    assert [(pair.document, pair.en, pair.zh) for pair in pairs] == [
        ("a", "The title of all", "总标题"),
        ("a", "Press Ctrl+F & OK. Then wait.", "请按 Ctrl+F & OK. 然后请等待。"),
        ("a", "LibreOffice", "LibreOffice"),
    ]


def test_whole_documents_are_held_back_and_no_text_is_in_two_parts(tmp_path):
    parts, left_out = fetch.cleaned_parts(small_sources(tmp_path))
    assert all(parts.values()), {name: len(pairs) for name, pairs in parts.items()}
    documents = [{(pair.source, pair.document) for pair in pairs} for pairs in parts.values()]
    assert sum(map(len, documents)) == len(set.union(*documents))
    seen = [{key(side) for pair in pairs for side in (pair.en, pair.zh)} for pairs in parts.values()]
    assert sum(map(len, seen)) == len(set.union(*seen))
    assert left_out["help"] == {"not translated": 1}
    assert left_out["catalogue"]["duplicate"] > 10  # "OK then" of the other windows


def test_the_same_sources_give_the_same_bytes(tmp_path):
    sums = []
    for name in ("first", "second"):
        folder = tmp_path / name
        folder.mkdir()
        fetch.write_parts(folder, *fetch.cleaned_parts(small_sources(folder)))
        sums.append({path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir() if path.suffix != ".whl"})
    assert sums[0] == sums[1]
    assert sums[0]["train.tsv"] == "b10c176d6307cdc8d9937b51f6e12c71aae0333cf021eee1815cfe2791bf84e5"
    summary = json.loads((tmp_path / "first/summary.json").read_text())
    assert summary["files"]["train.tsv"]["sha256"] == sums[0]["train.tsv"]
    assert summary["sources"]["hsk"]["licence"] == "CC-BY-SA-4.0"


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb is not installed")
def test_files_of_a_debian_package(tmp_path):
    root = tmp_path / "root"
    (root / "DEBIAN").mkdir(parents=True)
    (root / "DEBIAN/control").write_text("Package: x\nVersion: 1\nArchitecture: all\nMaintainer: a <a@b.c>\nDescription: x\n")
    (root / "usr").mkdir()
    (root / "usr/a.html").write_text("one")
    (root / "usr/b.txt").write_text("two")
    subprocess.run(["dpkg-deb", "--build", "--root-owner-group", root, tmp_path / "x.deb"], check=True, capture_output=True)
    assert list(fetch.files_of_deb(tmp_path / "x.deb", ".html")) == [("./usr/a.html", b"one")]


def test_a_package_with_another_hash_is_refused(tmp_path, monkeypatch):
    package = Package("x==1", "0" * 64)
    monkeypatch.setattr(Package, "command", lambda self, folder: ["touch", "x-1-py3-none-any.whl"])
    with pytest.raises(FetchError, match="instead of 0000"):
        package.download(tmp_path)
    monkeypatch.setattr(Package, "command", lambda self, folder: ["no-such-client"])
    with pytest.raises(FetchError, match="no-such-client is not installed"):
        package.download(tmp_path)
