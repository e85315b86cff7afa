"""A Python user's first hour with the package that pip installs: pandas 3, polars, streams, versions, a server that dies."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
import zipfile

import pytest
from conftest import ROOT, ask

SDK = ROOT / "serve/sdk/python"
FIRST_STEPS = """
from maas_sdk import MaaSClient
maas_client = MaaSClient(api_key='your_api_key')
emotion_model = maas_client.get_model('emotion_analysis')
emotions = emotion_model.predict(['我非常喜欢这个电影', '这个产品真的很差'])
print(*emotions)
"""
TABLES = """
import sys
import pandas as pd
import polars as pl
from maas_sdk import MaaSClient

assert int(pd.__version__.split('.')[0]) >= 3, pd.__version__
model = MaaSClient().get_model('emotion_analysis')
pd.DataFrame({'id': [7, 8, 9], 'text': ['I love this film', None, 'a terrible phone, I hate it']}).to_csv('in.csv', index=False)

df = pd.read_csv('in.csv', index_col='id')
assert df['text'].dtype == 'str'                    # pyarrow's strings
try:
    model.predict(df)
except TypeError as error:
    print('told:', error)
out = model.predict_frame(df, text='text')
assert out.index.tolist() == [7, 8, 9] and out['predicted_label'].isna().tolist() == [False, True, False]
out.to_csv('out.csv')
out.to_parquet('out.parquet')
known = df.dropna().copy()
known['emotion'] = model.predict(known['text'])     # a Series in, a column out
assert known['emotion'].tolist() == pd.read_parquet('out.parquet')['predicted_label'].dropna().tolist()

lazy = pl.scan_csv('in.csv')
table = model.predict_frame(lazy.collect())
assert table['predicted_label'].to_list() == ['positive', None, 'negative'], table
assert table['predicted_score'].null_count() == 1
assert model.predict(table['text'].drop_nulls()) == ['positive', 'negative']
print([str(emotion) for emotion in model.stream((text for text in known['text']), progress=True)])
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """The folder into which a wheel of the package is unpacked."""
    folder = tmp_path_factory.mktemp("package")
    shutil.copytree(SDK, folder / "source", ignore=shutil.ignore_patterns("__pycache__"))  # building writes beside the source
    subprocess.run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation",
                    "--disable-pip-version-check", "--wheel-dir", folder, folder / "source"], check=True, timeout=300)  # fmt: skip
    [wheel] = folder.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(folder / "installed")
    return folder / "installed"


@pytest.fixture
def run(package, tmp_path):
    def run_script(script, endpoint):
        others = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path and path != str(SDK)]
        path = os.pathsep.join([str(package), *others])
        result = subprocess.run([sys.executable, "-W", "error::ResourceWarning", "-c", script], cwd=tmp_path, text=True,
                                capture_output=True, timeout=300,
                                env={**os.environ, "PYTHONPATH": path, "MAAS_ENDPOINT": endpoint})  # fmt: skip
        assert result.returncode == 0, result.stderr
        return result

    return run_script


def test_the_first_steps_as_they_stand_in_the_readme(run, serve):
    result = run(FIRST_STEPS, serve().endpoint)
    assert result.stdout == "positive negative\n" and result.stderr == ""


def test_tables_streams_and_the_bar(run, serve):
    result = run(TABLES, serve().endpoint)
    told, streamed = result.stdout.splitlines()
    assert "df['text']" in told and "predict_frame" in told
    assert streamed == "['positive', 'negative']" and "2 texts, " in result.stderr


def test_the_package_describes_itself(package):
    [metadata] = package.glob("maas_sdk-*.dist-info/METADATA")
    told = metadata.read_text(encoding="utf-8")
    assert (SDK / "README.md").read_text(encoding="utf-8") in told and "Requires-Dist" not in told
    assert (package / "maas_sdk/py.typed").exists()


def test_the_examples_of_its_readme_run(run, serve):
    """All blocks, one after the other, with what they use."""
    blocks = (SDK / "README.md").read_text(encoding="utf-8").split("```python\n")[1:]
    script = "import pandas as pd\ntexts = ['a', 'b']\ndf = pd.DataFrame({'text': texts})\n"
    script += "open('texts.txt', 'w').write('good\\nbad\\n')\n" + "\n".join(block.partition("```")[0] for block in blocks)
    run(script + "\nassert list(result['predicted_label']) and model.pinned\n", serve().endpoint)


def test_versions_are_pinned_reported_and_refused(serve, models_root, tmp_path):
    from maas_sdk import MaaSClient, ModelNotFoundError

    models = tmp_path / "models"
    shutil.copytree(models_root, models)
    shutil.copytree(models / "emotion_analysis/1", models / "emotion_analysis/2")
    endpoint = serve("--models", models).endpoint
    client = MaaSClient(endpoint=endpoint)
    served = client.get_model("emotion_analysis")
    assert (served.version, served.versions, served.predict("good").version) == ("2", ["1", "2"], "2")
    with pytest.raises(ModelNotFoundError, match="version 2 does") as caught:  # it lies there but is not loaded
        client.get_model("emotion_analysis", version=1)
    assert caught.value.code == "unknown_version"
    assert ask(f"{endpoint}/v1/models/emotion_analysis/versions/1/predict", {"text": "good"})[0] == 404
    assert ask(f"{endpoint}/v1/admin/aliases/old", {"model": "emotion_analysis", "version": 1}, method="PUT")[0] == 200
    assert ask(f"{endpoint}/v1/models/emotion_analysis")[2]["served_versions"] == ["1", "2"]
    pinned = client.get_model("emotion_analysis", version=1)
    assert (pinned.version, pinned.pinned) == ("1", True)
    assert {emotion.version for emotion in pinned.predict(["good"] * 200)} == {"1"}
    assert served.predict("good").version == "2"
    with pytest.raises(ModelNotFoundError):
        client.get_model("emotion_analysis", version="nothing")


def test_answers_survive_the_death_of_the_server(serve):
    from maas_sdk import MaaSClient, MaaSConnectionError, PartialResult

    server = serve()
    model = MaaSClient(endpoint=server.endpoint, max_retries=1).get_model("emotion_analysis")
    texts = [f"text {i} is {'good' if i % 2 else 'bad'}, and its number is {i * i}" for i in range(30_000)]

    def kill_after_some():
        while server.logged().count("/predict") < 5:
            time.sleep(0.01)
        server.process.kill()

    killer = threading.Thread(target=kill_after_some)
    killer.start()
    with pytest.raises(PartialResult) as caught:
        model.predict(texts)
    killer.join()
    partial = caught.value
    assert isinstance(partial, MaaSConnectionError) and len(partial.results) == len(texts)
    assert 4 * 64 <= len(texts) - len(partial.missing) < len(texts)
    after = serve()
    fresh = MaaSClient(endpoint=after.endpoint).get_model("emotion_analysis")
    some = [place for place, emotion in enumerate(partial.results) if emotion is not None][:100]
    assert fresh.predict([texts[place] for place in some]) == [partial.results[place] for place in some]
    assert json.dumps(partial.results[some[0]]) in ('"positive"', '"neutral"', '"negative"')
