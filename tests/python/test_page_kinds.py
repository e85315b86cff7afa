"""The web page for models of several labels, of ordered labels and of numbers, in Chromium: feedback on their answers, the
options of their trainings, and what the other parts of the page say of them."""

import csv
import io
import json
import re

import browser as browsing
import numpy as np
import pytest
from conftest import RunningServer, ask
from maas_sdk import MaaSClient
from test_kind_jobs import columns, uploaded
from test_multi_label import LABELS
from test_page_tabs import chosen, open_fresh_tab, texts_of
from test_page_visitor import CONTRAST
from test_problem_kinds import KINDS, files, star_rows, training  # noqa: F401: files is a fixture
from test_web_page import analyse_file, choose, chromium, saved, screenshots  # noqa: F401 (fixtures)

pytestmark = browsing.needs_chromium
SPACE, TAB, ENTER = "\ue00d", "\ue004", "\ue007"
TEXTS = {"multi-label": ["soup and bread for the team", "court judge bank stock"], "ordinal": ["the superb of", "an awful of"],
         "regression": ["the superb of", "an awful of"], "single-label": ["the superb of"]}  # fmt: skip
GRADES = ["awful", "poor", "fair", "fine", "superb"]


def grades(count):
    rows = (line.rsplit(",", 1) for line in star_rows(count, 1, False).splitlines()[1:])
    return "text,label\n" + "".join(f"{text},{GRADES[int(star) - 1]}\n" for text, star in rows)


@pytest.fixture(scope="module")
def server(qing, files, tmp_path_factory):  # noqa: F811
    """A model and a file of each kind."""
    folder = tmp_path_factory.mktemp("page_kinds")
    for kind in KINDS:
        qing(*training(files, kind, folder / "models" / kind / "1", "--epochs", 6))
    small = ["--layers", 1, "--width", 32, "--vocab", 300, "--max-length", 32, "--epochs", 1]
    qing("train", "--data", files["ordinal"][0], *small, "--out", folder / "models/single-label/1")
    running = RunningServer(qing.binary, "--port", 0, "--models", folder / "models", "--state", folder / "state")
    with MaaSClient(api_key="any", endpoint=running.endpoint) as client:
        for kind in KINDS:
            uploaded(client, files[kind][0].read_text(), f"{kind}.csv")
        uploaded(client, grades(200), "grades.csv")
        uploaded(client, columns(200), "columns.csv")
    yield running
    assert running.stop()[0] == 0


@pytest.fixture
def page(chromium, server):  # noqa: F811
    open_fresh_tab(chromium, server.endpoint, "try", "#model")
    yield chromium
    assert chromium.console() == []


def answered(page, kind, explain=False):
    chosen(page, "#model", kind)
    page.run("document.getElementById('explain').checked = arguments[1]; document.getElementById('texts').value = arguments[0]",
             "\n".join(TEXTS[kind]), explain)  # fmt: skip
    page.run("document.getElementById('send').click()")
    page.wait(f"document.querySelectorAll('#results > li').length === {len(TEXTS[kind])} && !document.getElementById('send').ariaDisabled")
    return page.run("return shown.map(({ sides }) => sides[0].prediction)")


def press_in(page, number, css):
    """Presses a button of the feedback on a text."""
    page.run("document.querySelectorAll('#results .feedback')[arguments[0]].querySelector(arguments[1]).click()", number, css)


def feedback_of(server, kind):
    return [one for one in ask(f"{server.endpoint}/v1/feedback/summary?model={kind}")[2]["data"]][0]


def focused(page):
    return page.run("return document.activeElement.textContent || document.activeElement.value")


def test_feedback_on_several_labels_by_the_keyboard(page, server, screenshots):  # noqa: F811
    (first, _) = answered(page, "multi-label")
    press_in(page, 0, ".correct")
    assert page.run("return document.activeElement.closest('fieldset').querySelector('legend').textContent") == "Right labels"
    assert page.run("return document.activeElement.closest('[role=group]').ariaLabel") == f"Feedback on “{TEXTS['multi-label'][0]}”"
    boxes = page.run("return [...document.querySelectorAll('.correction .choice')].map(e => [e.textContent, e.firstChild.checked])")
    assert boxes == [[label, label in first["labels"]] for label in LABELS], "it begins with what the model said"
    page.run("document.querySelector('.correction .choice input').focus()")
    for label in LABELS:  # to food and law alone
        if (label in first["labels"]) != (label in ("food", "law")):
            page.press(SPACE)
        page.press(TAB)
    page.press(SPACE)  # stores the text
    page.screenshot(screenshots / "feedback_labels.png")
    page.press(TAB)
    page.press(ENTER)
    page.wait("document.querySelector('.given') !== null")
    assert texts_of(page, ".asked:has(.given) > *") == ["You said: food, law.", "The text is stored.", "Change…"]
    assert page.text("#status") == "The feedback is stored." and focused(page) == "Change…"
    summary = feedback_of(server, "multi-label")
    assert (summary["feedback"], summary["kept_texts"]) == (1, 1)
    assert {one["label"]: one["feedback"] for one in summary["labels"] if one["feedback"]} == {"food": 1, "law": 1}

    press_in(page, 0, ".correct")  # no label is right, and the text is to be forgotten
    page.run("document.querySelectorAll('.correction :checked').forEach(e => e.click())")
    press_in(page, 0, ".primary")
    page.wait("document.querySelector('.given')?.textContent === 'You said: no label.'")
    press_in(page, 1, ".asked button")  # the second answer is right
    page.wait("document.querySelectorAll('.given').length === 2")
    summary = feedback_of(server, "multi-label")
    assert (summary["feedback"], summary["agreed"], summary["kept_texts"]) == (2, 1, 0)


@pytest.mark.parametrize("kind", ["ordinal", "single-label"])
def test_feedback_on_one_label(page, server, kind):
    (first, *others) = answered(page, kind)
    press_in(page, 0, ".correct")
    assert page.run("return [...document.querySelectorAll('.correction [type=radio]')].map(e => e.value)") == list("12345")
    assert page.run("return document.activeElement.value") == first["label"]
    page.press("\ue014" if first["label"] == "1" else "\ue012")  # right and left
    right = "2" if first["label"] == "1" else str(int(first["label"]) - 1)
    press_in(page, 0, ".primary")
    page.wait(f"document.querySelector('.given')?.textContent === 'You said: {right}.'")
    for number in range(1, len(TEXTS[kind])):
        press_in(page, number, ".asked button")
    page.wait(f"document.querySelectorAll('.given').length === {len(TEXTS[kind])}")
    summary = feedback_of(server, kind)
    assert (summary["problem"], summary["feedback"], summary["agreed"]) == (kind, len(TEXTS[kind]), len(others))
    assert summary["kept_texts"] == 0


def test_feedback_on_a_number_tells_its_errors_beside_it(page, server, screenshots):  # noqa: F811
    predicted = [one["value"] for one in answered(page, "regression")]
    assert texts_of(page, "#results .figure") == [str(round(value)) for value in predicted]
    assert texts_of(page, "#results .asked button") == ["Give the right number…"] * 2, "no number is right to the last digit"
    press_in(page, 0, ".correct")
    assert page.name(".correction input") == "Right number"
    for wrong in ("", "many", "1e999", "1,5"):
        page.run("const e = document.activeElement; e.value = arguments[0]; e.dispatchEvent(new Event('input'))", wrong)
        press_in(page, 0, ".primary")
        told = page.run("const e = document.activeElement; return [e.value, e.ariaInvalid, document.getElementById(e.getAttribute('aria-describedby'))?.textContent]")
        assert told == [wrong, "true", "Type a number, such as 3.5."]
    page.screenshot(screenshots / "feedback_number.png")
    page.run("const e = document.activeElement; e.value = '1500.25'; e.dispatchEvent(new Event('input'))")
    assert page.run("return document.activeElement.ariaInvalid") is None and texts_of(page, ".correction .problem") == []
    press_in(page, 0, ".primary")
    page.wait("document.querySelector('.given') !== null")
    summary = feedback_of(server, "regression")
    assert summary["feedback"] == 1
    assert summary["mean_absolute_error"] == pytest.approx(abs(predicted[0] - 1500.25), rel=1e-5)


def test_neither_an_error_nor_another_language_loses_what_was_chosen(page):
    answered(page, "multi-label")
    page.run("shown[0].sides[0].prediction.asked.id = 'forgotten'")
    press_in(page, 0, ".correct")
    page.run("document.querySelectorAll('.correction .choice input').forEach(e => { if (e.checked !== (e.value === 'law')) e.click(); })")
    page.run("document.querySelector('.correction > .check input').click()")
    state = "return [...document.querySelectorAll('.correction input')].map(e => e.checked)"
    assert page.run(state) == [False, True, False, False, True]
    press_in(page, 0, ".primary")
    page.wait("document.querySelector('.correction .problem') !== null")
    assert "no answer with this id is remembered" in page.text(".correction .problem") and "request_id" not in page.text(".correction .problem")
    assert page.run("return document.activeElement.getAttribute('aria-describedby')").endswith("-problem")
    assert page.run("return document.getElementById('error').hidden") and page.run(state) == [False, True, False, False, True]
    page.click("#language")
    assert page.text(".correction legend") == "正确的标签" and page.run(state) == [False, True, False, False, True]
    page.click("#language")
    press_in(page, 0, "[type=button]")
    assert focused(page) == "No…" and texts_of(page, ".correction") == []
    press_in(page, 0, ".asked button")
    page.wait("document.querySelector('.asked .problem') !== null")
    assert page.run("return document.querySelector('.asked .problem').getAttribute('role')") == "alert"
    assert len(page.console()) == 2  # the refused requests


def test_a_card_stays_while_others_come(page):
    answered(page, "ordinal")
    press_in(page, 0, ".correct")
    kept = "show([...shown, { ...shown[1] }]); return document.activeElement.type === 'radio' && document.querySelectorAll('#results > li').length"
    assert page.run(kept) == 3


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_feedback_and_options_on_a_phone(page, theme, screenshots):  # noqa: F811
    page.resize(390, 844, mobile=True)
    page.run("theme = arguments[0]; paint()", theme)
    for kind in (*KINDS, "single-label"):
        answered(page, kind)
        press_in(page, 0, ".correct")
        page.run("if (document.querySelector('.correction [type=text]')) document.querySelector('.correction .primary').click()")
        assert page.run("return document.documentElement.scrollWidth") <= 390, kind
        assert page.run(CONTRAST) == [], kind
        page.screenshot(screenshots / f"phone_feedback_{kind}_{theme}.png")
        page.resize(390, 844, mobile=True)
    page.click("#tab-jobs")
    page.wait("document.querySelector('#job-training option') !== null")
    pick(page, "#job-training", "grades.csv")
    for kind in (*KINDS, "single-label"):
        chosen(page, "#job-kind", kind)
        page.run("document.querySelector('#job details').open = true")
        assert page.run("return document.documentElement.scrollWidth") <= 390, kind
        sides = "[...document.querySelectorAll('#job .field')].filter(e => e.checkVisibility()).map(e => e.getBoundingClientRect().left)"
        assert page.run(f"return new Set({sides}).size") == 1, f"{kind}: one field below the other"
        assert page.run(CONTRAST) == [], kind
        page.screenshot(screenshots / f"phone_training_{kind}_{theme}.png")
        page.resize(390, 844, mobile=True)


def pick(page, css, text):
    """Chooses the option that is shown as `text`."""
    page.run("const e = document.querySelector(arguments[0]); e.value = [...e.options].find(o => o.textContent === arguments[1]).value;"
             "e.dispatchEvent(new Event('change'))", css, text)  # fmt: skip


@pytest.fixture
def trainings(page):
    """The tab of trainings. window.bodies has what the page sends from then on."""
    page.click("#tab-jobs")
    page.wait("document.querySelector('#job-training option') !== null && document.querySelector('#job-base option') !== null")
    page.run("""window.bodies = []; const sent = window.fetch;
        window.fetch = (url, options) => { if (options.body) window.bodies.push(options.body); return sent(url, options); };""")
    chosen(page, "#job-base", "scratch")
    return page


def asked_options(body):
    plain = ("training_file", "validation_file", "suffix", "method")
    return {name: value for name, value in json.loads(body).items() if name not in plain}


def started(page, server):
    """Starts the training and returns what the page has sent, with the job as the service knows it."""
    before = page.run("window.bodies.length = 0; return document.querySelectorAll('#jobs > li[id]').length")
    page.run("document.getElementById('job-send').click()")
    page.wait(f"document.querySelectorAll('#jobs > li[id]').length === {before + 1} && !document.getElementById('job-send').ariaDisabled")
    (body,) = page.run("return window.bodies")
    job = page.run("return document.querySelector('#jobs > li[id]').id")
    return asked_options(body), lambda: ask(f"{server.endpoint}/v1/jobs/{job}")[2]


def finished(page, job):
    page.wait("['finished', 'failed'].includes(document.querySelector('#jobs .label').textContent)", seconds=120)
    assert page.text("#jobs .label") == "finished", page.text("#jobs li")
    return job()["outcome"]


def fill_in(page, **values):
    for name, value in values.items():
        css = f"#job-{name.replace('_', '-')}"
        page.run("const e = document.querySelector(arguments[0]); e.value = arguments[1]; e.dispatchEvent(new Event('input')); e.dispatchEvent(new Event('change'))", css, value)


def shown_fields(page):
    return page.run("return [...document.querySelectorAll('#job [data-kinds]')].filter(e => !e.hidden).map(e => e.querySelector('input').id)")


def test_the_file_and_the_base_model_choose_the_kind(trainings):
    page = trainings
    for file, base, kind in (("multi-label.csv", "scratch", "several labels"), ("columns.csv", "single-label", "several labels"),
                             ("regression.csv", "ordinal", "a number"), ("ordinal.csv", "ordinal", "an ordered label"),
                             ("ordinal.csv", "scratch", "one label"), ("ordinal.csv", "multi-label", "several labels")):  # fmt: skip
        pick(page, "#job-training", file)
        chosen(page, "#job-base", base)
        assert page.run("return document.getElementById('job-kind').selectedOptions[0].textContent") == f"automatic: {kind}", (file, base)
        assert page.text("#job-kind-misfit") == ""
    pick(page, "#job-training", "regression.csv")
    assert "from 9" in page.text("#job-kind-hint") and "mean 15" in page.text("#job-kind-hint")
    chosen(page, "#job-kind", "single-label")
    assert page.text("#job-kind-misfit") == "The file looks as if it has a number for each text."
    page.click("#language")
    assert page.run("return document.getElementById('job-kind').value") == "single-label"
    assert page.text("#job-kind-misfit") == "文件看起来是每条文本一个数值。"
    page.click("#language")
    measures = {}
    for kind, fields in (("single-label", []), ("multi-label", ["job-weight", "job-separator", "job-label-columns"]), ("ordinal", []),
                         ("regression", ["job-number-name"])):  # fmt: skip
        chosen(page, "#job-kind", kind)
        assert shown_fields(page) == fields
        measures[kind] = page.run("return [...document.getElementById('job-best').options].map(e => e.value || e.textContent)")
    assert measures["ordinal"] == ["quadratic kappa", "mae", "accuracy", "macro_recall", "macro_f1", "loss"]
    pick(page, "#job-training", "grades.csv")
    chosen(page, "#job-kind", "ordinal")
    assert shown_fields(page) == ["job-order"]


def test_a_training_of_several_labels(trainings, server, screenshots):  # noqa: F811
    page = trainings
    pick(page, "#job-training", "columns.csv")
    fill_in(page, epochs="1", best="macro_f1", weight="0.5", label_columns=", ".join(LABELS), text_column="text")
    page.screenshot(screenshots / "training_labels.png")
    body, job = started(page, server)
    assert body == {"model": "scratch", "multi_label": 1, "best": "macro_f1", "positive_weight": 0.5, "label_columns": LABELS, "text_column": "text"}
    outcome = finished(page, job)
    assert outcome["problem"] == "multi-label" and outcome["labels"] == LABELS
    assert "validation micro F1" in page.run("return document.querySelector('#jobs .curve').textContent")
    assert page.run("return document.getElementById('job-weight').value") == "0.5", "the form keeps its values"


def test_a_training_of_ordered_labels(trainings, server, screenshots):  # noqa: F811
    page = trainings
    pick(page, "#job-training", "grades.csv")
    chosen(page, "#job-kind", "ordinal")
    fill_in(page, epochs="1")
    page.click("#job-send")
    assert page.text("#job-order-problem") == "Say where these labels stand: awful, fair, fine, poor, superb."
    assert page.run("return document.activeElement.id") == "job-order" and page.run("return window.bodies") == []
    assert page.run("return document.activeElement.getAttribute('aria-describedby')") == "job-order-hint job-order-problem"
    page.screenshot(screenshots / "training_order.png")
    page.resize(1200, 900)
    for label in GRADES[:4]:
        page.run("[...document.querySelectorAll('#job-order-labels button')].find(e => e.textContent === arguments[0]).click()", label)
        assert page.run("return document.activeElement.matches('#job-order-labels button')"), "the keyboard goes on from there"
    assert page.run("return document.getElementById('job-order-problem')") is None
    page.click("#job-send")
    assert page.text("#job-order-problem") == "Say where these labels stand: superb."
    page.type("#job-order", ", superb")
    body, job = started(page, server)
    assert body == {"model": "scratch", "ordinal": 1, "labels": GRADES}
    outcome = finished(page, job)
    assert outcome["problem"] == "ordinal" and outcome["labels"] == GRADES


def test_ordered_labels_may_have_commas(trainings, server):
    names = ["bad, really", "fine\\ok", "good, or so"]
    with MaaSClient(api_key="any", endpoint=server.endpoint) as client:
        rows = [{"text": f"a {('poor', 'plain', 'great')[i % 3]} film number {i}", "label": names[i % 3]} for i in range(60)]
        uploaded(client, "".join(json.dumps(row) + "\n" for row in rows), "commas.jsonl")
    page = trainings
    page.run("document.getElementById('tab-data').click(); document.getElementById('tab-jobs').click()")
    page.wait("[...document.querySelectorAll('#job-training option')].some(e => e.textContent === 'commas.jsonl')")
    pick(page, "#job-training", "commas.jsonl")
    chosen(page, "#job-kind", "ordinal")
    fill_in(page, epochs="1")
    for label in names:
        page.run("[...document.querySelectorAll('#job-order-labels button')].find(e => e.textContent === arguments[0]).click()", label)
    assert page.run("return document.getElementById('job-order').value") == r"bad\, really, fine\\ok, good\, or so"
    assert page.run("return document.querySelectorAll('#job-order-labels button').length") == 0
    body, job = started(page, server)
    assert body["labels"] == names
    assert finished(page, job)["labels"] == names


def test_a_training_of_numbers_and_one_of_another_kind_than_the_base(trainings, server):
    page = trainings
    pick(page, "#job-training", "regression.csv")
    fill_in(page, epochs="1", number_name="price", best="mae", weight="0.5")
    body, job = started(page, server)
    assert body == {"model": "scratch", "regression": 1, "labels": ["price"], "best": "mae"}, "hidden fields count for nothing"
    assert finished(page, job)["labels"] == ["price"]
    pick(page, "#job-training", "ordinal.csv")
    chosen(page, "#job-base", "ordinal")
    body, job = started(page, server)
    assert body == {"model": "ordinal"} and finished(page, job)["problem"] == "ordinal"
    chosen(page, "#job-kind", "single-label")
    body, job = started(page, server)
    assert body == {"model": "ordinal", "ordinal": 0} and finished(page, job)["problem"] == "single-label"


def test_refused_options_are_told_beside_their_controls(trainings):
    page = trainings
    pick(page, "#job-training", "multi-label.csv")
    for name, value, said in (
        ("epochs", "5000", "must be \"auto\" or a whole number from 1 to 1000"), ("label-columns", "x, x", "'x' is given twice"),
        ("separator", "é", "must be one ASCII sign"), ("weight", "-1", "Type a number from 0"), ("weight", "much", "Type a number from 0"),
    ):  # fmt: skip
        usual = page.run("return document.getElementById(arguments[0]).value", f"job-{name}")
        fill_in(page, **{name.replace("-", "_"): value}, suffix="kept")
        page.run("document.querySelector('#job details').open = false; document.getElementById('job-send').click()")
        page.wait(f"document.getElementById('job-{name}-problem') !== null")
        assert said in page.text(f"#job-{name}-problem")
        assert page.run("return [document.activeElement.id, document.activeElement.ariaInvalid]") == [f"job-{name}", "true"]
        assert page.run("return document.getElementById('error').hidden")
        assert page.run("return ['job-suffix', arguments[0]].map(id => document.getElementById(id).value)", f"job-{name}") == ["kept", value]
        fill_in(page, **{name.replace("-", "_"): usual})
        assert page.run(f"return document.getElementById('job-{name}-problem')") is None
    fill_in(page, suffix="", label_columns="x", label_column="y")
    page.run("document.getElementById('job-send').click()")
    page.wait("document.querySelector('#job .problem') !== null")
    assert page.text("#job-label-column-problem") == "the labels are in label_columns; leave it out"
    assert len([message for message in page.console() if "422" in message]) == 4


def test_every_option_has_a_name(trainings):
    page = trainings
    chosen(page, "#job-kind", "multi-label")
    page.run("document.querySelector('#job details').open = true")
    ids = page.run("return [...document.querySelectorAll('#job :is(input, select)')].filter(e => e.checkVisibility()).map(e => e.id)")
    assert len(ids) == 12
    assert all(re.fullmatch(r"[A-Z][A-Za-z ]+", page.name(f"#{name}")) for name in ids)


def test_numbers_are_not_explained_and_have_no_labels(page, server, files, tmp_path):  # noqa: F811
    page.run("document.getElementById('explain').checked = true")
    predicted = answered(page, "regression", explain=True)
    assert page.run("return document.getElementById('explain-field').hidden")
    assert [ask(f"{server.endpoint}/v1/models/{kind}")[2]["explains"] for kind in KINDS] == [True, True, False]
    assert page.text("#gives") == "It gives a text a number." and texts_of(page, "#about li") == []
    assert texts_of(page, "#history button span:first-child") == [str(round(one["value"])) for one in predicted]
    assert "print(emotion.value)" in page.text("#python")
    choose(page, files["regression"][1])
    analyse_file(page)
    assert page.text("#summary").startswith("Numbers from ") and texts_of(page, ".tally") == []
    assert texts_of(page, "#rows th:not(:first-child)") == ["#", "text", "Number"]
    assert page.run("return document.getElementById('explain-rows').hidden")
    rows = list(csv.reader(io.StringIO(saved(page, tmp_path).read_text(encoding="utf-8-sig"))))
    assert rows[0] == ["text", "label", "value"] and len(rows) == 151
    errors = np.array([float(row[2]) - float(row[1]) for row in rows[1:]])
    assert np.abs(errors).mean() < 300


def test_several_labels_are_counted_filtered_and_explained(page, server, files):  # noqa: F811
    answers = answered(page, "multi-label", explain=True)
    assert page.text("#gives") == "It gives a text any of these labels, or none."
    assert f"The colours speak for or against “{answers[0]['label']}”." in texts_of(page, "#results .hint")
    assert texts_of(page, "#history button span:first-child") == [", ".join(one["labels"]) or "no label reaches its threshold" for one in answers]
    choose(page, files["multi-label"][1])
    analyse_file(page)
    page.run("batch.items[0].prediction.labels = []; showBatch()")
    tally = page.run("return [...document.querySelectorAll('.tally')].map(e => [e.children[1].textContent, Number(e.children[2].textContent)])")
    counts = page.run("return batch.items.map(item => item.prediction.labels)")
    assert dict(tally) == {**{label: sum(label in one for one in counts) for label in LABELS}, "no label": sum(not one for one in counts)}
    page.run("[...document.querySelectorAll('.tally')].find(e => e.textContent.startsWith('no label')).click()")
    assert set(texts_of(page, "#rows tbody td:nth-child(4) > .hint")) == {"no label"}


def test_labels_of_an_order_keep_it_and_numbers_do_not_differ(page):
    page.run("document.getElementById('other').value = 'regression'")
    answered(page, "ordinal", explain=True)
    assert texts_of(page, "#results > li:first-child .scores > span:nth-child(3n + 1)") == list("12345")
    assert "expected value" in page.text("#results .verdict") and texts_of(page, ".differs") == []
    assert page.run("return document.querySelectorAll('#results > li:first-child .feedback').length") == 2
    assert texts_of(page, "#results h3") == ["ordinal (1)", "regression (1)"] * 2


@pytest.mark.parametrize("kind, measures, group", [
    ("multi-label", ["micro F1", "macro F1", "subset accuracy"], "latin (micro F1)"),
    ("ordinal", ["quadratic weighted kappa", "MAE", "MAE of expected value"], None),
    ("regression", ["RMSE", "MAE", "Pearson", "Spearman"], "latin (MAE)"),
])  # fmt: skip
def test_a_comparison_shows_the_measures_of_the_kind(page, server, files, kind, measures, group):  # noqa: F811
    with MaaSClient(api_key="any", endpoint=server.endpoint) as client:
        file = uploaded(client, files[kind][1].read_text(), "dev.csv").id
        job = client.jobs.create(training_file=uploaded(client, files[kind][0].read_text()).id, model=kind, epochs=1).wait(progress=False)
    answer = ask(f"{server.endpoint}/v1/admin/models/{kind}/promote", {"from": job.model, "rule": {"evaluation": file}})[2]
    page.click("#tab-models")
    page.run("drawPromotion(JSON.parse(arguments[0]))", json.dumps(answer))  # the driver would sort the names
    rows = page.run("return [...document.querySelectorAll('#promotion table:first-of-type tbody tr')].map(r => r.firstChild.textContent)")
    assert rows == measures + [group] * (group is not None)
    heads = page.run("return [...document.querySelectorAll('#promotion th')].map(e => e.textContent)")
    assert heads[:4] == ["Measure", "Texts", "Before", "After"] and ("Correct before" in heads) == (kind == "ordinal")
    names = page.run("return [...document.querySelectorAll('#models tbody tr')].map(r => [r.children[0].textContent, r.children[3].textContent])")
    expected = {"multi-label": "several labels: food, law, money, sport", "ordinal": "an ordered label: 1, 2, 3, 4, 5", "regression": "a number: value"}
    assert [kind, expected[kind]] in names
    page.click("#tab-data")
    page.wait("document.querySelector('#files tbody tr') !== null")
    row = page.run("return [...document.querySelectorAll('#files tbody tr')].find(r => r.textContent.startsWith(arguments[0])).children[2].textContent", f"{kind}.csv")
    assert row.startswith({"multi-label": "several labels: food ", "ordinal": "1 ", "regression": "Numbers from "}[kind])
