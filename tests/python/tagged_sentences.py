"""Sentences with named entities, made from templates, for the tests of taggers."""

import random

FIRST = ["Anna", "Bruno", "Carla", "David", "Elena", "Felix", "Greta", "Hugo", "Irina", "Jonas", "Karin", "Lukas"]
LAST = ["Meyer", "Novak", "Olsen", "Petrov", "Quist", "Rossi", "Silva", "Tanaka", "Unger", "Varga", "Weber", "Young"]
CITIES = ["Lisbon", "Oslo", "New York", "Shanghai", "Buenos Aires", "Cairo", "Hong Kong", "Vienna", "Lagos", "San Jose"]
FIRMS = ["Nordwind", "Acme Steel", "Bluebird Air", "Delta Foods", "Evergreen Bank", "Orion Motors", "Pioneer Labs"]

# Held-out sentences have templates of their own, so that a model has to learn the words around a name.
TRAIN = [
    "{PER} lives in {LOC} .", "{ORG} opened an office in {LOC} .", "Yesterday {PER} met {PER} in {LOC} .",
    "Shares of {ORG} fell after {PER} resigned .", "{PER} , who works for {ORG} , flew to {LOC} .",
    "The weather was fine .", "{LOC} is far from {LOC} .", "{ORG} and {ORG} signed a contract .",
    "He said that {PER} would join {ORG} soon .", "Nobody at {ORG} knows {PER} .", "A train to {LOC} left late .",
]  # fmt: skip
HELD = [
    "{PER} works in {LOC} .", "Shares of {ORG} fell in {LOC} .", "Yesterday {ORG} signed a contract with {PER} .",
    "{PER} and {PER} left {LOC} .", "The train was late .", "{ORG} , far from {LOC} , opened late .",
]  # fmt: skip


def name(kind, rng):
    if kind == "PER":
        return f"{rng.choice(FIRST)} {rng.choice(LAST)}" if rng.random() < 0.7 else rng.choice(FIRST)
    return rng.choice(CITIES if kind == "LOC" else FIRMS)


def sentence(template, rng, scheme="bio"):
    """Returns the words and their tags."""
    words, tags = [], []
    for part in template.split():
        if not part.startswith("{"):
            words.append(part)
            tags.append("O")
            continue
        kind = part[1:-1]
        own = name(kind, rng).split()
        words += own
        marks = ["B"] + ["I"] * (len(own) - 1)
        if scheme == "bioes":
            marks = ["S"] if len(own) == 1 else ["B"] + ["I"] * (len(own) - 2) + ["E"]
        tags += [f"{mark}-{kind}" for mark in marks]
    return words, tags


def sentences(count, templates=TRAIN, seed=3, scheme="bio"):
    rng = random.Random(seed)
    return [sentence(rng.choice(templates), rng, scheme) for _ in range(count)]


def write_conll(path, rows):
    lines = ["-DOCSTART- -X- O O", ""]
    for words, tags in rows:
        lines += [f"{word}\tNN\t{tag}" for word, tag in zip(words, tags, strict=True)] + [""]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
