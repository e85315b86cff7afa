"""`qing models`: the list of a model repository."""

import json
import shutil


def listed(qing, root):
    return [json.loads(line) for line in qing("models", "--models", root, "--json").stdout.splitlines()]


def test_versions_have_labels_size_and_card(qing, models_root, model_dir, tmp_path):
    root = tmp_path / "models"
    for name in ("a/10", "a/9", "b/1"):
        shutil.copytree(model_dir, root / name)
    (root / "b/1/README.md").unlink()
    for ignored in ("a/latest", ".hidden/1", "a/0", "c"):  # no server would serve from these
        (root / ignored).mkdir(parents=True)
    found = listed(qing, root)
    assert [(model["name"], model["version"]) for model in found] == [("a", "9"), ("a", "10"), ("b", "1")]
    labels = json.loads((model_dir / "config.json").read_text())["id2label"]
    size = sum(file.stat().st_size for file in model_dir.rglob("*") if file.is_file())
    for model in found[:2]:
        assert model["labels"] == [labels[str(i)] for i in range(3)] and model["bytes"] == size
        assert model["task"] == "text-classification"
        assert model["card"] == str(root / "a" / model["version"] / "README.md") and "error" not in model
    assert found[2]["card"] is None
    header, *lines = qing("models", "--models", root).stdout.splitlines()
    assert header.split() == ["name", "version", "size", "labels", "card"] and len(lines) == 3
    assert lines[1].split()[:2] == ["a", "10"] and lines[2].endswith(" none")


def test_the_columns_are_as_wide_as_the_longest_name(qing, model_dir, tmp_path):
    for name in ("short", "a-name-of-more-than-24-characters"):
        shutil.copytree(model_dir, tmp_path / name / "1")
    header, *lines = qing("models", "--models", tmp_path).stdout.splitlines()
    assert {line.index(" MB ") for line in lines} == {header.index("size") + 1}


def test_a_broken_version_is_listed_with_the_reason(qing, model_dir, tmp_path):
    (tmp_path / "a/1").mkdir(parents=True)
    shutil.copytree(model_dir, tmp_path / "a/2")
    broken, good = listed(qing, tmp_path)
    assert "config.json" in broken["error"] and broken["labels"] == [] and "error" not in good


def test_the_shipped_models_are_the_default_and_an_empty_folder_is_an_error(qing, tmp_path):
    assert "emotion_analysis" in qing("models").stdout
    for folder, told in ((tmp_path, "holds no model"), (tmp_path / "none", "none: ")):
        result = qing("models", "--models", folder, check=False)
        assert result.returncode == 1 and told in result.stderr
