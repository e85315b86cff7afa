#!/usr/bin/env python3
"""Fetches Chinese-English sentence pairs and writes train.tsv, dev.tsv, test.tsv, hsk.tsv and summary.json into a folder.

    python3 fetch_translation_data.py DIR

The files have the columns source, document, en and zh. The sources:

    help        LibreOffice's help pages, matched by the ids of their paragraphs (Debian, MPL-2.0)
    catalogue   the texts of LibreOffice's windows and menus, from its .mo files (Debian, MPL-2.0)
    home        Home Assistant's user interface, from its JSON files (PyPI, Apache-2.0)
    hsk         everyday sentences for learners of Chinese, in hsk.tsv alone: a test set (PyPI, CC-BY-SA-4.0)

translation_pairs.py says how pairs are cleaned and which are refused. Whole documents (a page, a window, a component) are
held back: 2% for dev.tsv and 4% for test.tsv. A held-back pair is left out if a pair of another part has its English or its
Chinese, up to case, marks and numbers. So the scores are those of texts that the training has not seen. The same packages
give the same bytes. The packages are pinned and hashed; apt-get, pip and dpkg-deb must be there. Standard library of
Python 3.11 only.
"""

import collections
import gettext
import hashlib
import html.parser
import io
import json
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pinned_packages import FetchError, Package
from translation_pairs import Refused, clean_pair, key, lines_of_pair

LIBREOFFICE = "4:7.4.7-1+deb12u14"
PACKAGES = {
    "help-en": Package(f"libreoffice-help-en-us={LIBREOFFICE}",
                       "8faa840285734d6cfe1ed25537b48f07e74bd6412e3917bf8e5f8a653f7b3712", client="apt-get"),
    "help-zh": Package(f"libreoffice-help-zh-cn={LIBREOFFICE}",
                       "db867cdece4c2f9c7eebe65e519c6cf386fdcf49d6e061db3dffec893b3e1dee", client="apt-get"),
    "catalogue": Package(f"libreoffice-l10n-zh-cn={LIBREOFFICE}",
                         "06b2800923811a11ddadc9e1e09ef8bda2a89ba118470403b2f6a897152e0809", client="apt-get"),
    "home": Package("homeassistant==2026.11.0", "7ca5fbde9dea879ac7723949fc84347aac5182e6309c357b2e4973fd391b00f7",
                    options=("--python-version", "3.14.2")),
    "hsk": Package("hsk-sentences-audio==1.0.0", "9bf16cc7b48a24a10af83d377439d3c6f7571a380937f4645a1cd1590d5d0335"),
}  # fmt: skip
LICENCES = {"help": "MPL-2.0", "catalogue": "MPL-2.0", "home": "Apache-2.0", "hsk": "CC-BY-SA-4.0"}
DEV_PERCENT, TEST_PERCENT = 2, 4
COLUMNS = ("source", "document", "en", "zh")


@dataclass(frozen=True)
class Pair:
    source: str
    document: str
    en: str
    zh: str
    accelerator: str | None = None


class Paragraphs(html.parser.HTMLParser):
    """The texts of a help page's paragraphs and headings by their ids. Of alternatives for several systems or programs it
    takes the general one."""

    BLOCKS = ("p", "h1", "h2", "h3", "h4", "h5", "h6")
    VOID = ("br", "img", "meta", "link", "input", "hr", "col", "wbr")
    VARIANTS = ("MAC", "UNIX", "WIN", "WRITER", "CALC", "IMPRESS", "DRAW", "BASE", "MATH", "CHART")

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.texts = {}
        self._open = []  # (tag, whether what is inside is left out)
        self._id = None
        self._parts = []

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag in self.VOID:
            self._parts.append(" " if tag == "br" else "")
            return
        left_out = (self._open[-1][1] if self._open else False) or given.get("class") in self.VARIANTS
        self._open.append((tag, left_out))
        if tag in self.BLOCKS and given.get("id", "").startswith(("par_id", "hd_id")):
            self._id, self._parts = given["id"], []

    def handle_endtag(self, tag):
        while self._open:
            closed, _ = self._open.pop()
            if closed == tag:
                break
        if tag in self.BLOCKS and self._id:
            self.texts.setdefault(self._id, " ".join("".join(self._parts).split()))
            self._id = None

    def handle_data(self, data):
        if self._id and not (self._open and self._open[-1][1]):
            self._parts.append(data)


def paragraphs(page):
    parser = Paragraphs()
    parser.feed(page)
    parser.close()
    return parser.texts


def files_of_deb(path, ends):
    """(path, bytes) of the files of a Debian package whose path ends so."""
    unpacked = subprocess.run(["dpkg-deb", "--fsys-tarfile", path], check=True, capture_output=True)
    with tarfile.open(fileobj=io.BytesIO(unpacked.stdout)) as archive:
        for member in archive:
            if member.isfile() and member.name.endswith(ends):
                yield member.name, archive.extractfile(member).read()


def help_pairs(english, chinese):
    """From the files (path, bytes) of both packages."""

    def pages(files):
        return {path.partition("/text/")[2]: content.decode() for path, content in files if "/text/" in path}

    theirs = pages(chinese)
    for name, page in sorted(pages(english).items()):
        if name not in theirs:
            continue
        translated = paragraphs(theirs[name])
        for place, text in paragraphs(page).items():
            if place in translated:
                yield Pair("help", name.removesuffix(".html"), text, translated[place])


def catalogue_pairs(files):
    """From .mo files. A message's context is "window|widget" or a name; the window is the document."""
    for path, content in sorted(files):
        catalogue = gettext.GNUTranslations(io.BytesIO(content))._catalog  # gettext has no other way to list them
        for message, chinese in catalogue.items():
            if not message or isinstance(message, tuple):  # the header; plurals
                continue
            context, _, english = message.rpartition("\x04")
            window, bar, _ = context.partition("|")
            document = f"{PurePosixPath(path).stem}/{window}"
            for en, zh in lines_of_pair(english, chinese):
                yield Pair("catalogue", document, en, zh, accelerator="_" if bar else "~")


def strings(tree, path=()):
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from strings(value, (*path, name))
        elif isinstance(value, str):
            yield (*path, name), value


def home_pairs(archive):
    """From Home Assistant's wheel. A component is a document."""
    with zipfile.ZipFile(archive) as wheel:
        names = set(wheel.namelist())
        for name in sorted(names):
            if not name.endswith("/zh-Hans.json") or name.replace("zh-Hans", "en") not in names:
                continue
            chinese = dict(strings(json.loads(wheel.read(name))))
            for place, english in strings(json.loads(wheel.read(name.replace("zh-Hans", "en")))):
                if place in chinese:
                    for en, zh in lines_of_pair(english, chinese[place]):
                        yield Pair("home", name.split("/")[-3], en, zh)


def hsk_pairs(archive):
    with zipfile.ZipFile(archive) as wheel:
        for row in json.loads(wheel.read("hsk_sentences_audio/data/sentences.json")):
            yield Pair("hsk", f"level {row['hsk_level']}/{row['topic']}", row["translation"]["en"], row["chinese"])


def part_of(pair):
    """The part that the pair's document belongs to, by a hash of its name."""
    if pair.source == "hsk":
        return "hsk"
    digest = hashlib.sha256(f"{pair.source}/{pair.document}".encode()).digest()
    percent = int.from_bytes(digest[:8], "big") % 100
    if percent < DEV_PERCENT:
        return "dev"
    return "test" if percent < DEV_PERCENT + TEST_PERCENT else "train"


def cleaned_parts(pairs):
    """The cleaned pairs by part, and how many were left out by source and reason."""
    parts = {"train": [], "dev": [], "test": [], "hsk": []}
    left_out = collections.defaultdict(collections.Counter)
    seen = {name: set() for name in parts}
    for raw in pairs:
        try:
            en, zh = clean_pair(raw.en, raw.zh, raw.accelerator)
        except Refused as why:
            left_out[raw.source][str(why)] += 1
            continue
        part = part_of(raw)
        if (en.casefold(), zh) in seen[part]:
            left_out[raw.source]["duplicate"] += 1
            continue
        seen[part].add((en.casefold(), zh))
        parts[part].append(Pair(raw.source, raw.document, en, zh))
    # The everyday sentences stay whole, so what is like them leaves the other parts.
    taken = set()
    for name in ("hsk", "train", "test", "dev"):
        kept = []
        for pair in parts[name]:
            if name != "hsk" and (key(pair.en) in taken or key(pair.zh) in taken):
                left_out[pair.source][f"of {name}, in another part too"] += 1
            else:
                kept.append(pair)
        taken.update(key(text) for pair in kept for text in (pair.en, pair.zh))
        parts[name] = kept
    return parts, left_out


def write(path, content):
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(content)
    partial.replace(path)


def write_parts(folder, parts, left_out):
    """Writes the files and the summary, which is returned."""
    summary = {"files": {}, "sources": {}}
    for name, pairs in parts.items():
        rows = ["\t".join(COLUMNS), *("\t".join((p.source, p.document, p.en, p.zh)) for p in pairs)]
        content = ("\n".join(rows) + "\n").encode()
        write(folder / f"{name}.tsv", content)
        summary["files"][f"{name}.tsv"] = {
            "pairs": len(pairs),
            "english_words": sum(len(pair.en.split()) for pair in pairs),
            "chinese_characters": sum(len(pair.zh) for pair in pairs),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
    for source, licence in LICENCES.items():
        kept = {name: sum(pair.source == source for pair in pairs) for name, pairs in parts.items()}
        summary["sources"][source] = {
            "licence": licence,
            "packages": [package.name for of, package in PACKAGES.items() if of.startswith(source)],
            "pairs": {name: count for name, count in kept.items() if count},
            "left_out": dict(sorted(left_out[source].items())),
        }
    write(folder / "summary.json", (json.dumps(summary, indent=2, ensure_ascii=False) + "\n").encode())
    return summary


def all_pairs():
    """The raw pairs of all packages. FetchError."""
    archives = {name: package.archive() for name, package in PACKAGES.items()}
    yield from help_pairs(files_of_deb(archives["help-en"], ".html"), files_of_deb(archives["help-zh"], ".html"))
    yield from catalogue_pairs(files_of_deb(archives["catalogue"], ".mo"))
    yield from home_pairs(archives["home"])
    yield from hsk_pairs(archives["hsk"])


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        print(__doc__, end="")
        return 0 if sys.argv[1:] in (["--help"], ["-h"]) else 2
    folder = Path(sys.argv[1])
    try:
        folder.mkdir(parents=True, exist_ok=True)
        summary = write_parts(folder, *cleaned_parts(all_pairs()))
    except (FetchError, OSError, subprocess.CalledProcessError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for name, file in summary["files"].items():
        print(f"{name}: {file['pairs']} pairs, {file['english_words']} English words, "
              f"{file['chinese_characters']} Chinese characters, SHA-256 {file['sha256']}")  # fmt: skip
    for source, says in summary["sources"].items():
        print(f"{source} ({says['licence']}): {sum(says['pairs'].values())} pairs, {sum(says['left_out'].values())} left out")
    return 0


if __name__ == "__main__":
    sys.exit(main())
