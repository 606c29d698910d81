"""For the teacher: the sheet's answers, the link that hides the truth, the quiz, and the class."""

import base64
import io
import json
import re
from itertools import permutations

import numpy as np
import pandas as pd
import pytest
import simulated
from conftest import BY_NAME, PREFIXES, RUNNING, said
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from em_core import (
    BinomialMixture,
    BinomialParams,
    GaussianMixture,
    HardEM,
    KMeans,
    fit,
    fit_labelled,
    match_components,
)
from em_core.models import gaussian_mixture, kmeans
from em_ui.controls import seal as sealing
from em_ui.run import DATA, GUESS, stream

few = settings(max_examples=12, phases=(Phase.explicit, Phase.generate))

# Settings with a truth that can be recognized wherever it stands. A lesson may have none here.
SET_UP = {
    "k_means": {"spread": "2.3", "size": "150", "data_seed": "7"},
    "two_coins": {"true_a": "0.63", "true_b": "0.27", "share_a": "0.35", "weights": "true"},
    "gaussian_mixture": {
        "mean1": "-11.372",
        "sd1": "3.187",
        "size1": "917",
        "mean3": "4.567",
        "size3": "400",
    },
    "mixture_in_the_plane": {
        "data": "Simulated",
        "guess": "Random data points",
        "x1": "-4.437",
        "sd_y1": "2.187",
        "size1": "317",
        "y3": "6.567",
        "corr2": "-0.357",
    },
    "toy_lesson": {"rate_a": "4.37", "rate_b": "11.69"},
}
# Of a page that simulates nothing at first: the settings under which it does.
SIMULATED = {"mixture_in_the_plane": {"gp_data": "Simulated"}}


def unseal(name, token):
    """Return the hidden values, as only the server can."""
    return sealing.unseal(PREFIXES[name], token)["values"]


def seal(values):
    """Return values as links of before held them."""
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


def set_up(name):
    return {f"{PREFIXES[name]}_{control}": value for control, value in SET_UP.get(name, {}).items()}


def default(name, control):
    return BY_NAME[name].module("problem").SPECS[control].default


def posed_at(name, page):
    """Return the problem that a lesson poses as a page is set."""
    lesson = BY_NAME[name].module("problem")
    settings = {c: spec.default for c, spec in lesson.SPECS.items()}
    on_page = set(page.shown()) & set(settings)
    return lesson.problem(settings | {c: page.value(c) for c in on_page})


def words_of(name):
    return BY_NAME[name].module("problem").WORDS


def posed(name):
    """Return the problem that a lesson poses where the page is set up."""
    lesson = BY_NAME[name].module("problem")
    given = SET_UP.get(name, {})
    return lesson.problem(
        {c: spec.nearest(given.get(c, spec.default)) for c, spec in lesson.SPECS.items()}
    )


def run_of(name):
    """Return the run that the page is set up for, from em_core alone.

    Of a lesson that is not known here, its sample, model and start are as its problem has them.
    """
    if name == "k_means":
        sample = simulated.clusters([150] * 3, spread=2.3, rng=stream(7, DATA))
        model, tol, limit = KMeans(), 0, 100
        start = kmeans.guess_from_points(sample.data, 3, rng=stream(1, GUESS, 1))
    elif name == "two_coins":
        truth = BinomialParams([0.63, 0.27], [0.35, 0.65])
        model, tol, limit = BinomialMixture(10, estimate_weights=True), 1e-6, 100
        sample = model.simulate(truth, 500, rng=stream(1, DATA))
        start = BinomialParams([0.8, 0.7], [0.5, 0.5])
    elif name == "gaussian_mixture":
        sample = simulated.values(
            [-11.372, 30, 4.567], [3.187, 7, 5], [917, 1000, 400], rng=stream(1, DATA)
        )
        model, tol, limit = GaussianMixture(0.05), 1e-6, 20
        start = gaussian_mixture.guess_integers(sample.data, 3, rng=stream(46, GUESS, 1))
    else:
        problem = posed(name)
        sample, model, start = problem.sample, problem.model, problem.start
        tol, limit = problem.tol, problem.max_iter
    trace = fit(model, sample.data, start, tol=tol, max_iter=limit)
    return trace, sample, model


UPPER = (("xx", (0, 0)), ("xy", (0, 1)), ("yy", (1, 1)))  # of a covariance matrix
SYMBOLS = {
    "covariances": ("Σ {}", 4),
    "heads_prob": ("θ {}", 3),
    "means": ("μ {}", 2),
    "stds": ("σ {}", 2),
    "centroids": ("c {}", 4),
    "rates": ("λ {}", 2),
    "weights": ("π {}", 3),
}


def words(params, *, marked=True):
    """Return parameters as the sheet writes them."""
    names = "AB" if len(next(iter(params.arrays().values()))) == 2 else "12345678"
    groups = {}
    for field, array in params.arrays().items():
        symbol, digits = SYMBOLS[field]
        if field == "means" and array.ndim == 2:
            digits = 3
        for name, value in zip(names, array, strict=False):
            texts = groups.setdefault(digits, [])
            if array.ndim == 1:
                texts.append(f"{symbol.format(name)} {value:,.{digits}f}")
            elif array.ndim == 3:
                texts += [
                    f"{symbol.format(name)} {axes} {value[at] + 0.0:,.{digits}f}"
                    for axes, at in UPPER
                ]
            else:
                for axis, x in zip("xy", value, strict=True):
                    texts.append(f"{symbol.format(name)} {axis} {x:,.{digits}f}")
    return "; ".join(
        ", ".join(texts) + (f" (right within ±{5 / 10**digits:.{digits}f})" if marked else "")
        for digits, texts in groups.items()
    )


@pytest.fixture(scope="module")
def with_teacher(visit):
    """Return a function that gives a page with the teacher's section open. To be read only."""
    pages = {}

    def show(name):
        if name not in pages:
            pages[name] = visit(name, **set_up(name), **{f"{PREFIXES[name]}_teacher": "true"})
        return pages[name]

    return show


@pytest.fixture(scope="module")
def as_student(visit, with_teacher):
    """Return a function that gives the page that a student's link opens."""

    def follow(name, **more):
        more = {f"{PREFIXES[name]}_{control}": value for control, value in more.items()}
        return visit(name, **with_teacher(name).student_link | more)

    return follow


class TestSheet:
    @pytest.mark.parametrize("name", RUNNING)
    def test_answers_are_those_of_the_run(self, with_teacher, name):
        trace, sample, model = run_of(name)
        text = with_teacher(name).section("teacher").text
        shares = model.e_step(sample.data[:1], trace.steps[0].params).responsibilities[0]
        letters = "123" if len(shares) == 3 else "AB"
        first = ", ".join(f"{k} {r:.3f}" for k, r in zip(letters, shares, strict=True))
        first += " (right within ±0.005)"
        known = fit_labelled(model, sample.data, sample.labels, sample.truth)
        sign = -1 if name == "k_means" else 1
        ends = [f"{sign * trace.steps[i].objective:,.2f}" for i in (0, -1)]
        observation = ", ".join(f"{x:.4g}" for x in np.atleast_1d(sample.data[0]))
        nouns = {"k_means": "point", "two_coins": "trial", "gaussian_mixture": "value"}
        noun = nouns.get(name, words_of(name).observation)
        title = "inertia" if name == "k_means" else "log-likelihood"
        limits = {"k_means": 100, "two_coins": 100, "gaussian_mixture": 20}
        limit = limits.get(name, default(name, "max_iter"))
        gain = f"an iteration gains no more than {default(name, 'tol')} per {noun}"
        rule = "no parameter changes any more" if name == "k_means" else gain
        rule += f", or after {limit}"
        for question, answer in (
            (f"At the initial guess, how is {noun} 1 ({observation}) shared", first),
            ("What are the parameters after one iteration?", words(trace.steps[1].params)),
            (
                "After how many iterations did the run stop, and why?",
                f"{trace.message} The rule: Stop when {rule} iterations.",
            ),
            (
                f"Where does {words_of(name).algorithm} end, from "
                f"{words(trace.steps[0].params, marked=False)}?",
                words(trace.final.params),
            ),
            (
                f"What is the {title} at the guess and at the end?",
                " and ".join(ends) + " (right within ±0.05)",
            ),
            ("What would one estimate with the labels known?", words(known)),
            ("What is the truth?", words(sample.truth, marked=False)),
        ):
            (item,) = (item for item in re.split(r"\n(?=\d+\. )", text) if question in item)
            assert f"*{answer}*" in item

    def test_makes_up_no_truth_of_published_trials(self, visit):
        page = visit("two_coins", tc_data="Five published trials", tc_teacher="true")
        text = page.section("teacher").text
        assert (
            "What is the truth? (3 min)\n\n    *Nobody knows the truth behind these data.*" in text
        )

    @pytest.mark.parametrize("name", RUNNING)
    def test_begins_with_the_situation(self, visit, declared, name):
        page = visit(name)
        page.open("teacher")
        situation = next(iter(declared[name].situations.values()))
        text = page.section("teacher").text
        asked = (
            situation.question if situation.sealed_question is None else (situation.sealed_question)
        )
        question, answer = (said(name, situation, words) for words in (asked, situation.answer))
        assert f"1. {question} (5 min)\n\n    *{answer}*" in text
        page.set(**({"floor": 0.02} if name in SIMULATED else {"data_seed": 13}))
        assert question not in page.section("teacher").text
        assert "1. At the initial guess" in page.section("teacher").text

    @pytest.mark.parametrize("name", RUNNING)
    def test_downloads_with_and_without_answers(self, visit, downloads, name):
        page = visit(name, **set_up(name), **{f"{PREFIXES[name]}_teacher": "true"})
        (answers, mime), (questions, _) = (
            downloads[f"{page.prefix}-{kind}.md"] for kind in ("answers", "questions")
        )
        assert mime == "text/markdown"
        trace, sample, _ = run_of(name)
        for text, answered in ((answers, True), (questions, False)):
            assert (words(trace.final.params) in text) == answered
            assert (words(sample.truth, marked=False) in text) == answered
            assert "nan" not in text
            assert "What is the truth?" in text
            assert len(re.findall(r"^\d+\. ", text, re.MULTILINE)) == 7
            assert len(re.findall(r" \(\d+ min\)$", text, re.MULTILINE)) == 7
        assert answers.count("Answer: ") == 7
        assert "Answer" not in questions
        # The situation in words: all that was set stands with the answers, the rest without.
        specs = BY_NAME[name].module("problem").SPECS
        for control, raw in SET_UP[name].items():
            line = f"{specs[control].label}: {specs[control].words(specs[control].nearest(raw))}"
            assert line in answers
            assert (line in questions) == (control in ("size", "weights", "data", "guess"))

    def test_stands_a_run_without_a_likelihood(self, visit):
        page = visit("two_coins", tc_start_a="0", tc_start_b="1", tc_teacher="true")
        text = page.section("teacher").text
        assert "Stopped at iteration 0" in text
        assert "after one iteration" not in text


class TestStudentLink:
    @pytest.mark.parametrize("name", RUNNING)
    def test_hides_the_truth_and_nothing_else(self, with_teacher, declared, name):
        page = with_teacher(name)
        prefix, controls = page.prefix, declared[name]
        link = page.student_link
        hidden = unseal(name, link.pop(f"{prefix}_quiz"))
        shown = set(page.shown()) - {"situation", "class_size", "class_first"}
        assert set(hidden) == {*controls.truth, "data_seed", "student"} & shown
        assert hidden == {control: page.value(control) for control in hidden}
        assert set(link) == {f"{prefix}_{control}" for control in shown - set(hidden)}
        (button,) = (
            d for d in page.components("copy_link") if d["label"] == "Copy link for students"
        )
        assert button["keep"] == [f"{prefix}_iter"]
        for query, text in link.items():
            control = query.removeprefix(f"{prefix}_")
            spec = {**controls.specs, **controls.view}[control]
            assert spec.nearest(text) == page.value(control)

    @pytest.mark.parametrize("name", RUNNING)
    def test_gives_the_same_run(self, with_teacher, as_student, name):
        teacher, student = with_teacher(name), as_student(name)
        pd.testing.assert_frame_equal(student.table, teacher.table)
        assert student.player["rows"] == teacher.player["rows"]
        assert not student.at.warning or student.advice

    @pytest.mark.parametrize("name", RUNNING)
    def test_cannot_be_read_from_its_address(self, with_teacher, name):
        link = with_teacher(name).student_link
        token = link.pop(f"{PREFIXES[name]}_quiz")
        decoded = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        for control, raw in SET_UP[name].items():
            if f"{PREFIXES[name]}_{control}" not in link:
                assert control.encode() not in decoded
                assert len(raw) < 3 or raw.encode() not in decoded
        # What any other page, or another server, makes of it: nothing.
        assert all(
            sealing.unseal(prefix, token) is None
            for prefix in PREFIXES.values()
            if prefix != PREFIXES[name]
        )

    @pytest.mark.parametrize("name", RUNNING)
    def test_without_its_hidden_part_it_shows_other_data(self, visit, as_student, name):
        student = as_student(name)
        link = {k: v for k, v in student.link.items() if not k.endswith("_quiz")}
        bare = visit(name, **link)
        (true, other), field = (
            (run_of(name)[1].truth, posed_at(name, bare).sample.truth),
            words_of(name).by,
        )
        gap = np.abs(getattr(true, field) - getattr(other, field))
        assert gap.max() > 0.05
        assert "teacher" in bare.sections()
        assert not bare.table.equals(student.table)

    def test_keeps_question_and_open_sections_but_not_the_teachers(self, visit, declared):
        teacher = visit("two_coins", tc_hill="true", tc_teacher="true")
        teacher.set(situation="Coins that are nearly alike")
        teacher.set(data_seed=9)
        link = teacher.student_link
        assert link["tc_hill"] == "true"
        assert "tc_teacher" not in link
        assert "alike" not in str(link)
        page = visit("two_coins", **link)
        situation = declared["two_coins"].situations["Coins that are nearly alike"]
        assert page.question == situation.sealed_question
        assert page.answer is None

    @pytest.mark.parametrize("name", RUNNING)
    def test_questions_of_sealed_pages_do_not_state_the_truth(self, declared, name):
        controls = declared[name]
        asked = [n for n in controls.truth if n in controls.asked] or controls.truth
        for situation in controls.situations.values():
            sealed = situation.sealed_question
            text = said(name, situation, situation.question if sealed is None else sealed)
            stated = {float(x.replace(",", "")) for x in re.findall(r"\d[\d,]*(?:\.\d+)?", text)}
            own = controls.own(situation)
            assert not stated & {float(own[n]) for n in asked}, text

    @pytest.mark.parametrize("name", RUNNING)
    def test_teacher_is_told_where_the_defaults_show_the_truth(self, visit, name):
        page = visit(name, **{f"{PREFIXES[name]}_teacher": "true"}, **SIMULATED.get(name, {}))

        def told():
            return [i.value for i in page.at.info if "sees the same truth" in i.value]

        assert "Whoever deletes the hidden part" in told()[0]
        page.set(situation=list(BY_NAME[name].module("situations").SITUATIONS)[-1])
        assert "Whoever" in told()[0]
        drawn = (
            "data_seed"
            if name == "k_means"
            else {
                "two_coins": "true_a",
                "gaussian_mixture": "mean1",
                "mixture_in_the_plane": "x1",
            }.get(name, "rate_a")
        )
        step = 1 if drawn == "data_seed" else 0.01 if name == "two_coins" else 1.0
        page.set(**{drawn: page.value(drawn) + step})
        assert told() == []

    @pytest.mark.parametrize("name", RUNNING)
    def test_page_shows_nothing_of_the_truth(self, as_student, name):
        page = as_student(name)
        page.open(*page.sections())
        trace, sample, model = run_of(name)
        known = fit_labelled(model, sample.data, sample.labels, sample.truth)
        assert not set(page.shown()) & (
            set(unseal(name, page.at.query_params[f"{page.prefix}_quiz"])) - {"student"}
        )
        assert "situation" not in page.shown()
        assert "teacher" not in page.sections()
        assert page.answer is None

        # In words: status, prose, captions, descriptions, formulas, code and the player's numbers.
        texts = [page.text, page.status, *page.captions, *page.formulas, json.dumps(page.player)]
        texts += [chart.alt for chart in page.charts]
        texts += [table.proto.alt for table in page.at.dataframe]
        texts += [code.value for code in page.at.code]
        texts += [json.dumps(data["query"]) for data in page.components("copy_link")]
        everything = "\n".join(texts)
        assert "from the truth:" not in everything
        secrets = [
            "-11.372",
            "3.187",
            "917",
            "4.567",
            "numpy.random",
            "default_rng",
        ]
        own = {
            "two_coins": ["0.63", "0.27"],
            "mixture_in_the_plane": ["-4.437", "2.187", "6.567", "-0.357"],
            "toy_lesson": ["4.37", "11.69"],
        }
        secrets += own.get(name, [])
        if name == "k_means":
            secrets += [f"{x:.4f}" for x in sample.truth.centroids.ravel()]
        for secret in secrets:
            assert not re.search(rf"(?<![\d.]){re.escape(secret)}(?!\d)", everything), secret
        # Round numbers, and what EM finds by itself, may stand anywhere.
        hidden, found = (
            np.concatenate([a.ravel() for params in history for a in params.arrays().values()])
            for history in ((known, sample.truth), [step.params for step in trace.steps])
        )
        hidden = hidden[~np.isclose(20 * hidden, np.round(20 * hidden))]
        hidden = hidden[~np.isclose(hidden[:, None], found, rtol=1e-6).any(axis=1)]
        assert len(hidden) >= 4
        assert not any(f"{x:.4f}" in everything for x in hidden)

        # In numbers: what is drawn, and every table.
        frames = [frame for chart in page.charts for frame in chart.data.values()]
        assert not {"truth", "labelled"} & {data for c in page.charts for data in c.data}
        for frame in [*frames, *(table.value for table in page.at.dataframe)]:
            assert not {"truth", "labels known"} & set(frame)
            for column in frame.select_dtypes("number"):
                close = np.isclose(frame[column].to_numpy()[:, None], hidden, rtol=1e-9, atol=0)
                assert not close.any(), column
        for chart in page.charts:
            assert not re.search(r"\"name\": \"(truth|labelled)\"", json.dumps(chart.template))

    @pytest.mark.parametrize("name", RUNNING)
    def test_truth_would_be_found_if_it_were_shown(self, with_teacher, name):
        # The same search, on the teacher's page.
        page = with_teacher(name)
        assert {"truth", "labelled"} <= {data for chart in page.charts for data in chart.data}
        assert "from the truth:" in page.status
        assert page.frame("Each parameter: truth") is not None

    def test_published_trials_have_no_truth_to_guess_and_no_other_data(self, visit):
        page = visit("two_coins", tc_data="Five published trials", tc_teacher="true")
        labels = [data["label"] for data in page.components("copy_link")]
        assert labels == ["Copy link to these settings"]
        assert "data set for each student" not in page.section("teacher").text
        assert not {"class_size", "class_first"} & set(page.shown())
        # A link of before hides what is known of them, and asks for nothing.
        page = visit("two_coins", tc_data="Five published trials", tc_quiz=seal({"true_a": 0.6}))
        page.open(*page.sections())
        assert "Guess the parameters" not in [header.value for header in page.at.header]
        assert not any("labels known" in table.proto.alt for table in page.at.dataframe)
        assert not {"truth", "labelled"} & {data for c in page.charts for data in c.data}

    def test_stays_after_a_change_a_reset_and_a_visit_elsewhere(self, as_student):
        page = as_student("two_coins")
        token = page.at.query_params["tc_quiz"]
        page.set(trials=200)
        page.press("reset")
        page.switch("home")
        page.at.query_params.clear()
        page.switch("two_coins")
        assert page.at.query_params["tc_quiz"] == token
        assert "true_a" not in page.shown()
        # Reset went back to the link: all trials, and weights that are estimated.
        trace, _, _ = run_of("two_coins")
        np.testing.assert_array_equal(page.table["log-likelihood"], trace.objectives)

    def test_student_number_gives_other_data_of_the_same_truth(self, as_student):
        page = as_student("two_coins", student="4")
        truth = BinomialParams([0.63, 0.27], [0.35, 0.65])
        rng = np.random.default_rng([1, DATA, 4])
        data = BinomialMixture(10).simulate(truth, 500, rng=rng).data
        bars = page.charts[0].data["bars"]
        counts = bars[bars["component"] == "A"]["height"].to_numpy()
        np.testing.assert_array_equal(counts, np.bincount(data, minlength=11))

    def test_more_components_can_be_looked_for_on_a_sealed_page(self, as_student):
        page = as_student("gaussian_mixture", find="4")
        assert any("The truth has 3 groups" in text for text in page.advice)
        assert not any(name.startswith(("mean", "sd", "size")) for name in page.shown())


def guess_fields(page):
    return [
        w
        for w in page.at.number_input
        if w.key.startswith(f"{page.prefix}_guess_") and w.key != f"{page.prefix}_guess_seed"
    ]


def distances(estimate, truth):
    return np.linalg.norm((estimate - truth).reshape(len(truth), -1), axis=1)


def answer_quiz(page, guesses, *, scored=True):
    """Fill the form in, and return what is said of it, or None if it is not to be scored."""
    fields = guess_fields(page)
    for field, guess in zip(fields, np.ravel(guesses), strict=True):
        field.set_value(float(guess))
    (button,) = page.at.form_submit_button
    button.click()
    page.run()
    said = [s.value for s in page.at.success if "of 100" in s.value]
    assert len(said) == scored
    return said[0] if scored else None


def score(said):
    return float(re.match(r"\*\*([\d.]+) of 100\.\*\*", said).group(1))


class TestQuiz:
    @pytest.fixture(scope="class")
    @classmethod
    def quizzes(cls, as_student):
        return {name: as_student(name) for name in RUNNING}

    def truth(self, name):
        params = run_of(name)[1].truth
        return next(iter(params.arrays().values()))

    def scale(self, name):
        return 0.1 if name == "two_coins" else 0.1 * run_of(name)[1].data.std()

    @pytest.mark.parametrize("name", RUNNING)
    def test_truth_in_any_order_scores_100(self, quizzes, name):
        truth = self.truth(name)
        for order in permutations(range(len(truth))):
            said = answer_quiz(quizzes[name], truth[list(order)])
            assert score(said) == 100
            assert "you missed by 0, and at most by 0." in said

    @pytest.mark.parametrize("name", RUNNING)
    def test_asks_for_each_component(self, quizzes, name):
        labels = [field.label for field in guess_fields(quizzes[name])]
        words, truth = words_of(name), self.truth(name)
        asked = {
            "two_coins": ["Heads probability A", "Heads probability B"],
            "gaussian_mixture": ["Mean 1", "Mean 2", "Mean 3"],
            "k_means": [f"Centroid {k} {axis}" for k in "123" for axis in "xy"],
            "mixture_in_the_plane": [f"Mean {k} {axis}" for k in "123" for axis in "xy"],
        }
        title = words.quantities[words.by].title
        assert labels == asked.get(name, [f"{title} {k}" for k in words.names[: len(truth)]])

    @pytest.mark.parametrize("name", RUNNING)
    @pytest.mark.parametrize("halvings", [1, 2])
    def test_a_miss_by_the_scale_halves_the_score(self, quizzes, name, halvings):
        truth, miss = self.truth(name), halvings * self.scale(name)
        said = answer_quiz(quizzes[name], truth + miss / np.sqrt(truth[0].size))
        assert score(said) == pytest.approx(100 / 2**halvings, abs=0.51)
        assert f"you missed by {miss:.3g}, and at most by {miss:.3g}." in said

    @pytest.mark.parametrize("name", RUNNING)
    def test_any_other_guess_scores_less(self, quizzes, name):
        truth, rng = self.truth(name), np.random.default_rng(1)
        for size in (0.1, 1.0):
            guess = truth + size * self.scale(name) * rng.normal(size=truth.shape)
            orders = (guess[list(order)] for order in permutations(range(len(truth))))
            nearest = min(orders, key=lambda g: ((g - truth) ** 2).sum())
            miss = distances(nearest, truth).mean()
            said = answer_quiz(quizzes[name], guess)
            expected = 100 * 0.5 ** (miss / self.scale(name))
            assert score(said) == pytest.approx(expected, abs=0.51)
            assert score(said) < 100
            assert f"you missed by {miss:.3g}" in said

    @pytest.mark.parametrize("name", RUNNING)
    def test_says_how_far_em_is(self, quizzes, name):
        trace, _, _ = run_of(name)
        truth = self.truth(name)
        found = next(iter(trace.final.params.arrays().values()))
        gaps = distances(found[match_components(found, truth)], truth)
        algorithm = words_of(name).algorithm
        said = answer_quiz(quizzes[name], truth)
        assert f"{algorithm} missed by {gaps.mean():.3g}, and at most by {gaps.max():.3g}." in said

    @pytest.mark.parametrize("name", RUNNING)
    @pytest.mark.parametrize("wrong", [5_000.0, -3_000.0])
    def test_guess_out_of_range_is_refused_with_what_is_allowed(
        self, visit, as_student, name, wrong
    ):
        page = as_student(name)
        guesses = self.truth(name).copy()
        guesses.flat[0] = wrong
        assert answer_quiz(page, guesses, scored=False) is None
        (refused,) = (e.value for e in page.at.error)
        assert f"cannot be {wrong:g}: it lies between " in refused
        if name == "two_coins":
            assert refused == f"Heads probability A cannot be {wrong:g}: it lies between 0 and 1."

    @pytest.mark.parametrize("name", RUNNING)
    def test_is_not_there_when_nothing_is_hidden(self, plain, name):
        assert not plain(name).at.form_submit_button
        assert "Guess the parameters" not in [h.value for h in plain(name).at.header]


def allowed(spec, value):
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and (spec.nearest(value) == value)
    )


DAMAGED = [
    "x",
    "=",
    "====",
    "%00",
    "e30",  # nothing at all
    "bnVsbA",  # null
    "W10",  # a list
    "🎲",
    "x" * 3_999,
    "A" * 20_000,
    seal({"true_a": 0.5})[:-3],
    seal({"nonsense": 1}),
    seal({"true_a": 0.5, "trials": 7}),
    seal([["true_a", 0.5]]),
    seal("true_a"),
    seal(json.loads("[" * 900 + "]" * 900)),
    base64.urlsafe_b64encode(b"[" * 2_900).decode(),
    base64.urlsafe_b64encode(b"\xff\xfe{").decode(),
    base64.urlsafe_b64encode(b"9" * 2_900).decode(),
]


def check_open(page):
    """Check that the page is an ordinary one, with a warning."""
    assert any("nothing is hidden" in warning.value for warning in page.at.warning)
    assert page.value("true_a") == 0.6
    assert page.status.startswith("**Converged**")


class TestDamagedSeal:
    @pytest.mark.parametrize("token", DAMAGED, ids=range(len(DAMAGED)))
    def test_gives_a_warning_and_hides_nothing(self, visit, token):
        check_open(visit("two_coins", tc_quiz=token))

    @few
    @given(token=st.text(min_size=1, max_size=200).filter(lambda t: t.isprintable()))
    def test_any_text(self, visit, token):
        check_open(visit("two_coins", tc_quiz=token))

    @few
    @given(
        values=st.recursive(
            st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner),
            max_leaves=8,
        )
    )
    def test_any_json(self, visit, values):
        check_open(visit("two_coins", tc_quiz=seal(values)))

    def test_key_of_another_server_opens_nothing(self, visit, monkeypatch):
        monkeypatch.setenv(sealing.ENVIRONMENT, "another server’s passphrase")
        sealing._cipher.cache_clear()
        foreign = sealing.seal("tc", {"values": {"true_a": 0.5}, "situation": None})
        monkeypatch.undo()
        sealing._cipher.cache_clear()
        page = visit("two_coins", tc_quiz=foreign)
        check_open(page)
        assert any("not the data of your class" in w.value for w in page.at.warning)

    @few
    @given(
        values=st.dictionaries(
            st.sampled_from(["true_a", "true_b", "share_a"]),
            st.none() | st.booleans() | st.floats() | st.integers() | st.text() | st.just([1, {}]),
            min_size=1,
        )
    )
    def test_any_values_of_the_hidden_controls(self, visit, declared, values):
        page = visit("two_coins", tc_quiz=seal(values))
        assert not any("nothing is hidden" in warning.value for warning in page.at.warning)
        wrong = {n for n, v in values.items() if not allowed(declared["two_coins"].specs[n], v)}
        assert len(page.notices) == len(wrong)
        assert all("is hidden. What the link held is not allowed" in n for n in page.notices)
        assert not set(values) & set(page.shown())
        # They are moved to what the controls allow, as in any link.
        specs = declared["two_coins"].specs
        s = {
            n: specs[n].nearest(values.get(n, specs[n].default))
            for n in ("true_a", "true_b", "share_a")
        }
        truth = BinomialParams([s["true_a"], s["true_b"]], [s["share_a"], 1 - s["share_a"]])
        data = BinomialMixture(10).simulate(truth, 500, rng=stream(1, DATA)).data
        bars = page.charts[0].data["bars"]
        counts = bars[bars["component"] == "A"]["height"].to_numpy()
        np.testing.assert_array_equal(counts, np.bincount(data, minlength=11))

    def test_empty_seal_is_taken_out_of_the_address(self, visit):
        page = visit("two_coins", tc_quiz="", tc_trials="100")
        assert page.at.query_params == {"tc_trials": "100"}
        assert not page.at.warning

    def test_seal_of_another_page_or_of_a_page_without_one_is_no_matter(self, visit):
        page = visit("maximum_likelihood", ml_quiz="x", tc_quiz="x")
        assert not page.at.warning


class TestClass:
    @pytest.mark.parametrize("name", RUNNING)
    def test_answers_are_those_of_each_students_own_page(self, visit, downloads, name):
        page = visit(name, **set_up(name), **{f"{PREFIXES[name]}_teacher": "true"})
        table = page.section("teacher").frame("each of 5 students")
        assert list(table["student"]) == [1, 2, 3, 4, 5]
        objective = "inertia" if name == "k_means" else "log-likelihood"
        for number in (1, 4):
            theirs = visit(name, **set_up(name), **{f"{PREFIXES[name]}_student": str(number)}).table
            row = table.iloc[number - 1]
            columns = [c for c in theirs if c not in ("iteration", "gain")]
            assert row[columns].tolist() == theirs.iloc[-1][columns].tolist()
            assert row["iterations"] == theirs["iteration"].iloc[-1]
        assert table[objective].nunique() == 5
        page.set(class_size=2)
        assert len(page.section("teacher").frame("each of 2 students")) == 2
        content, mime = downloads[f"{page.prefix}-class.csv"]
        downloaded = pd.read_csv(io.BytesIO(content()))
        assert mime == "text/csv"
        pd.testing.assert_frame_equal(downloaded, table[:2], check_exact=True)

    @pytest.mark.parametrize("name", RUNNING)
    def test_is_shown_in_the_pages_symbols_and_downloaded_in_names(self, visit, downloads, name):
        page = visit(name, **set_up(name), **{f"{PREFIXES[name]}_teacher": "true"})
        (element,) = (e for e in page.at.dataframe if "each of 5 students" in e.proto.alt)
        shown = json.loads(element.proto.columns)
        assert set(shown) - {"_index"} == set(element.value.columns)
        symbols = {
            "k_means": [f"c {k} {axis}" for k in "123" for axis in "xy"],
            "two_coins": ["θ A", "θ B", "π A", "π B"],
            "gaussian_mixture": [f"{s} {k}" for s in "μσπ" for k in "123"],
            "mixture_in_the_plane": [
                *(f"μ {k} {axis}" for k in "123" for axis in "xy"),
                *(f"Σ {k} {axes}" for k in "123" for axes, _ in UPPER),
                *(f"π {k}" for k in "123"),
            ],
        }.get(name, ["λ A", "λ B", "π A", "π B"])
        title = "Inertia" if name == "k_means" else "Log-likelihood"
        labels = [shown[column]["label"] for column in element.value.columns]
        assert labels == ["Student", *symbols, title, "Iterations"]
        content, _ = downloads[f"{page.prefix}-class.csv"]
        header = content().decode().splitlines()[0].split(",")
        assert header == list(element.value.columns)
        fields = run_of(name)[0].final.params.arrays()
        assert {column.split()[0] for column in header[1:-2]} == set(fields)

    def test_fixed_weights_are_no_column(self, visit):
        page = visit("two_coins", tc_teacher="true")
        table = page.section("teacher").frame("each of 5 students")
        assert list(table) == [
            "student",
            "heads_prob A",
            "heads_prob B",
            "log-likelihood",
            "iterations",
        ]
        page.set(weights=True)
        assert "weights A" in page.section("teacher").frame("each of 5 students")

    @pytest.mark.parametrize("name", RUNNING)
    def test_copied_link_lists_the_same_students(self, visit, name):
        prefix = PREFIXES[name]
        simulated = SIMULATED.get(name, {})
        page = visit(name, **{f"{prefix}_teacher": "true"}, **simulated)
        page.set(class_size=7, class_first=8_123)
        copy = visit(name, **page.link)
        table = copy.section("teacher").frame("each of 7 students")
        assert list(table["student"]) == list(range(8_123, 8_130))
        theirs = visit(name, **{f"{prefix}_student": "8129"}, **simulated).table
        columns = [c for c in theirs if c not in ("iteration", "gain")]
        assert table.iloc[-1][columns].tolist() == theirs.iloc[-1][columns].tolist()

    def test_list_ends_with_the_last_number(self, visit):
        page = visit("two_coins", tc_teacher="true", tc_class_first="9998")
        table = page.section("teacher").frame("each of 2 students")
        assert list(table["student"]) == [9_998, 9_999]

    def test_student_who_is_number_zero_has_the_data_of_all(self, visit, plain):
        page = visit("two_coins", tc_student="0")
        pd.testing.assert_frame_equal(page.table, plain("two_coins").table)

    def test_class_shares_the_page_with_hard_assignment(self, visit):
        page = visit("two_coins", tc_hard="true", tc_teacher="true")
        table = page.section("teacher").frame("each of 5 students")
        truth = BinomialParams([0.6, 0.2], [0.5, 0.5])
        rng = np.random.default_rng([1, DATA, 3])
        data = BinomialMixture(10).simulate(truth, 500, rng=rng).data
        start = BinomialParams([0.8, 0.7], [0.5, 0.5])
        trace = fit(HardEM(BinomialMixture(10)), data, start, tol=1e-6, max_iter=100)
        assert table["classification log-likelihood"][2] == trace.final.objective
