"""Links: whatever the address holds, the page is sensible, and says what it changed."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest
import simulated
from conftest import BY_NAME, PREFIXES, RUNNING, said, sections_of
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from em_ui.controls import Choice, Number, Section, Switch
from em_ui.controls.specs import VIEW
from em_ui.data import Own, kept
from em_ui.data.kept import Numbers
from em_ui.pictures.bins import bins
from em_ui.run import DATA, stream

# An example opens the app, which takes 0.1 s: only a few, and none to shrink a failure.
few = settings(max_examples=8, phases=(Phase.explicit, Phase.generate))

NOTICE = re.compile(
    r"“(?P<label>[^”`]+)” (was given \d+ times|cannot be (?P<raw>`[^`]+`|empty)); "
    r"it is now (?P<value>[^`]+)\."
)
# A number of each lesson to try; of one that is not here, its first.
A_NUMBER = {
    "maximum_likelihood": "guess_mean",
    "k_means": "k",
    "two_coins": "tosses",
    "gaussian_mixture": "mean1",
    "mixture_in_the_plane": "floor",
}

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[click](javascript:alert(1))",
    "![](http://example.com/pixel.png)",
    "`code` ``more`` ```",
    "# Heading\n\n- item\n\n| a |",
    r"$\href{javascript:alert(1)}{x}$",
    ":material/home: :red[stop]",
    "“; it is now 7.\n- “Tosses",
    "\x00\x01\x1b[31m\r\n\t",
    "\u202e\u200b\ufeff",
    "𝟙𝟚 ١٢ Ⅻ ½",
    "\ud7ff\U0010ffff",
    "9" * 400,
    "x" * 20_000,
    " ",
    "None",
    "[1]",
    "{}",
    "../../etc/passwd",
    "%00%0a",
    "0x10",
    "1e5000",
    "--5",
    "12:30",
    "2020-01-01",
    "2020-01-01T12:30",
]


def every_control(controls):
    return {**controls.specs, **controls.view}


def check_notice(notice, label, raw):
    """Check that a notice names the control, and quotes the link as short, inert text."""
    found = NOTICE.fullmatch(notice)
    assert found, notice
    assert found["label"] == label
    if found["raw"] != "empty":
        quoted = found["raw"][1:-1]
        assert len(quoted) <= 31
        assert quoted.isprintable()
        printable = "".join(c for c in raw if c.isprintable() and c != "`")
        assert printable.startswith(quoted.removesuffix("…"))


def check_sensible(page, declared, name):
    """Check that every control on the page has a value that it allows."""
    for control in set(page.shown()) - {"situation"}:
        spec, value = every_control(declared[name])[control], page.value(control)
        assert spec.nearest(value) == value
        if isinstance(spec, Number):
            assert spec.low <= value <= spec.high
    assert page.charts


class TestOneValue:
    @pytest.mark.parametrize("raw", HOSTILE, ids=range(len(HOSTILE)))
    def test_unreadable_gives_the_default(self, visit, declared, raw):
        controls = ("data", "true_a", "tosses", "hard")  # one of each kind, in the page's order
        page = visit("two_coins", **{f"tc_{control}": raw for control in controls})
        for control, notice in zip(controls, page.notices, strict=True):
            spec = declared["two_coins"].specs[control]
            readable = isinstance(spec, Number) and is_number(raw)
            assert page.value(control) == (spec.nearest(raw) if readable else spec.default)
            check_notice(notice, spec.label, raw)

    @pytest.mark.parametrize("name", PREFIXES)
    @pytest.mark.parametrize(
        ("raw", "bound"),
        [
            ("1e309", "high"),
            ("-inf", "low"),
            ("-1e30", "low"),
            ("9" * 400, "high"),
            ("nan", "default"),
            ("", "default"),
        ],
    )
    def test_out_of_range_gives_the_nearest_bound(self, visit, declared, name, raw, bound):
        specs = declared[name].specs
        numbers = (control for control, spec in specs.items() if isinstance(spec, Number))
        control = A_NUMBER.get(name) or next(numbers)
        spec = specs[control]
        page = visit(name, **{f"{PREFIXES[name]}_{control}": raw})
        assert page.value(control) == getattr(spec, bound)
        check_notice(*page.notices, spec.label, raw)
        check_sensible(page, declared, name)

    @pytest.mark.parametrize(
        ("raw", "value"),
        [("20.4", 20), ("20.6", 21), ("0", 1), ("-3", 1), ("201", 200), ("200.4", 200)],
    )
    def test_whole_numbers_are_rounded(self, visit, raw, value):
        page = visit("two_coins", tc_tosses=raw)
        assert page.value("tosses") == value
        assert page.notices == [f"“Tosses per trial” cannot be `{raw}`; it is now {value}."]

    @pytest.mark.parametrize(("raw", "value"), [("0.123", 0.12), ("1e-3", 0), ("1.01", 1)])
    def test_sliders_take_whole_steps(self, visit, raw, value):
        page = visit("two_coins", tc_true_a=raw)
        assert page.value("true_a") == value
        check_notice(*page.notices, "True heads probability of A", raw)

    @pytest.mark.parametrize(
        ("control", "raw", "value"),
        [
            ("tosses", "20", 20),
            ("tosses", "2e1", 20),
            ("tosses", "20.0", 20),
            ("tosses", "10", 10),  # the default
            ("true_a", "0.35", 0.35),
            ("true_a", "1", 1.0),
            ("data", "Five published trials", "Five published trials"),
            ("tol", "0", "0"),
            ("tol", "1e-10", "1e-10"),
            ("hard", "true", True),
            ("hard", "False", False),
            ("student", "9999", 9999),
        ],
    )
    def test_allowed_is_taken_without_a_notice(self, visit, control, raw, value):
        page = visit("two_coins", **{f"tc_{control}": raw})
        assert page.value(control) == value
        assert not page.notices

    @pytest.mark.parametrize(
        ("control", "raw", "value"),
        [
            ("observation", "7", 7),
            ("observation", "100000", 100_000),
            ("starts", "200", 200),
            ("class_size", "7", 7),
            ("class_first", "9999", 9_999),
        ],
    )
    def test_view_is_taken_without_a_notice(self, visit, control, raw, value):
        sections = {f"tc_{name}": "true" for name in ("by_hand", "many_starts", "teacher")}
        page = visit("two_coins", **sections, **{f"tc_{control}": raw}, tc_trials="5")
        assert page.value(control) == value
        assert not page.notices

    @pytest.mark.parametrize(
        ("raw", "mended"),
        [("3", "3"), ("3.5", "3.5"), ("3.4", "3.5"), ("501", "500"), ("-1", None), ("x", None)],
    )
    def test_position_is_a_number_of_half_steps(self, visit, raw, mended):
        page = visit("two_coins", tc_iter=raw)
        assert page.at.query_params.get("tc_iter") == mended
        assert bool(page.notices) == (raw != mended)
        for notice in page.notices:
            check_notice(notice, "Iteration", raw)

    @pytest.mark.parametrize(
        ("raw", "is_open"), [("true", True), ("True", True), ("false", False), ("1", False)]
    )
    def test_section_is_open_or_closed(self, visit, raw, is_open):
        page = visit("two_coins", tc_by_hand=raw)
        assert bool(page.section("by_hand").formulas) == is_open
        assert bool(page.notices) == (raw == "1")

    @pytest.mark.parametrize(
        ("control", "raw", "now"),
        [
            # The run has 11 iterations, and 500 trials.
            ("iter", "99999", "the last"),
            ("iter", "-1", "0"),
            ("observation", "99999999", "the last"),
            ("observation", "0", "1"),
            ("by_hand", "maybe", "closed"),
            ("hard", "maybe", "off"),
            ("trials", "1e9", "100000"),
        ],
    )
    def test_notice_says_what_is_shown(self, visit, control, raw, now):
        (notice,) = visit("two_coins", **{f"tc_{control}": raw}).notices
        assert NOTICE.fullmatch(notice)["value"] == now

    def test_mended_value_stands_in_the_address(self, visit):
        page = visit("two_coins", tc_tosses="999", tc_trials="x", tc_true_a="0.3")
        assert page.at.query_params == {"tc_tosses": "200", "tc_true_a": "0.3"}

    def test_notice_is_gone_after_the_next_change(self, visit):
        page = visit("two_coins", tc_tosses="999")
        assert page.notices
        page.set(trials=100)
        assert not page.notices
        assert page.value("tosses") == 200

    def test_every_mended_control_is_named(self, visit):
        page = visit("two_coins", tc_tosses="999", tc_trials="x", tc_hard="maybe")
        labels = [NOTICE.fullmatch(notice)["label"] for notice in page.notices]
        assert labels == ["Tosses per trial", "Number of trials", "Hard assignment"]


class TestSeveralValues:
    @pytest.mark.parametrize(
        ("raw", "value"),
        [(["3", "4"], 4), (["3", "x"], 10), (["4", "4"], 4), (["10"] * 5, 10), (["", ""], 10)],
    )
    def test_the_last_counts(self, visit, raw, value):
        page = visit("two_coins", tc_tosses=raw)
        assert page.value("tosses") == value
        (notice,) = page.notices
        assert notice == f"“Tosses per trial” was given {len(raw)} times; it is now {value}."

    def test_repeated_slider_does_not_become_a_range(self, visit):
        page = visit("two_coins", tc_true_a=["0.2", "0.8"])
        assert page.value("true_a") == 0.8
        assert len(page.notices) == 1

    def test_unknown_names_and_other_pages_are_left_alone(self, visit, declared):
        page = visit("two_coins", km_k="99", tc_nonsense="<b>", utm_source="mail", tc_situation="x")
        assert not page.notices
        assert page.link == visit("two_coins").link
        check_sensible(page, declared, "two_coins")

    def test_start_page_takes_any_query(self, visit):
        assert not visit("home", tc_tosses="999", x=["1", "2"]).notices


@few
@given(
    raw=st.one_of(
        st.text(max_size=60),
        st.text("0123456789+-.eE_ ", min_size=1, max_size=12),
        st.floats().map(repr),
        st.integers().map(str),
    ).filter(lambda text: not any(0xD800 <= ord(c) <= 0xDFFF for c in text)),
    data=st.data(),
)
@pytest.mark.parametrize("name", PREFIXES)
def test_any_text_for_any_control(visit, declared, name, raw, data):
    specs = every_control(declared[name])
    control = data.draw(st.sampled_from(sorted(specs)))
    spec = specs[control]
    page = visit(name, **{f"{PREFIXES[name]}_{control}": raw})
    check_sensible(page, declared, name)
    value = page.value(control) if control in page.shown() else spec.nearest(raw)
    if isinstance(spec, Switch | Section):
        fine = raw.lower() == str(value).lower()
    elif isinstance(spec, Choice):
        fine = raw == value
    else:
        fine = is_number(raw) and float(raw) == value
        if is_number(raw):
            clipped = min(max(float(raw), spec.low), spec.high)
            reach = spec.step / 2 if spec.slider or isinstance(spec.step, int) else 0
            assert abs(value - clipped) <= reach + 1e-9
        else:
            assert value == spec.default
    if fine:
        assert not page.notices
    else:
        check_notice(*page.notices, spec.label, raw)


def is_number(text: str) -> bool:
    try:
        return not math.isnan(float(text))
    except ValueError:
        return False


def own_numbers(spec):
    """Return numbers that any lesson with this control takes."""
    d = spec.least if spec.several else spec.most
    rows = [[1 + 7 * i % 5 + (9 + i % 4) * j for j in range(d)] for i in range(12)]
    return Numbers("mine", tuple(f"column {j}" for j in range(d)), np.array(rows, dtype=float))


def any_value(spec):
    """Return a strategy for the values that a reader can set."""
    if isinstance(spec, Switch | Section):
        return st.booleans()
    if isinstance(spec, Choice):
        return st.sampled_from(spec.options)
    if isinstance(spec, Own):
        return st.just(kept.told_as(own_numbers(spec)))
    if isinstance(spec.step, int):
        most = 5 if spec is VIEW["starts"] else 1_500  # keeps the runs short
        return st.integers(spec.low, min(spec.high, most))
    if spec.slider:
        steps = round((spec.high - spec.low) / spec.step)
        return st.integers(0, steps).map(lambda i: round(spec.low + i * spec.step, 10))
    if spec.fits_data:
        return st.floats(1, 2)  # within the bounds that any data give
    return st.floats(spec.low, spec.high, allow_subnormal=False)


class TestCopiedLink:
    @few
    @given(data=st.data())
    @pytest.mark.parametrize("name", PREFIXES)
    def test_shows_the_same_page(self, visit, declared, name, data):
        specs = every_control(declared[name])
        chosen = data.draw(st.sets(st.sampled_from(sorted(specs)), max_size=8))
        chosen |= {"own"} & set(specs)
        values = {control: data.draw(any_value(specs[control])) for control in sorted(chosen)}
        query = {f"{PREFIXES[name]}_{c}": specs[c].text(v) for c, v in values.items()}
        page = visit(name, **query)
        assert not page.notices
        for control in chosen & set(page.shown()):
            assert page.value(control) == values[control]

        # Values that wait for a control to appear make it another situation, but the same run.
        position, link = f"{PREFIXES[name]}_iter", page.link
        if set(query) - set(link) - {position}:
            page = visit(name, **{k: v for k, v in query.items() if k in link or k == position})
            assert page.link == link

        # The browser adds what the address says of the player's position.
        copy = visit(name, **link, **{k: v for k, v in query.items() if k == position})
        assert not copy.notices
        assert set(copy.shown()) == set(page.shown())
        for control in set(page.shown()) - {"situation"}:
            assert copy.value(control) == page.value(control), control
        assert copy.link == page.link
        assert copy.text == page.text
        assert copy.formulas == page.formulas
        for mine, theirs in zip(page.at.dataframe, copy.at.dataframe, strict=True):
            assert mine.value.equals(theirs.value)
        if name in RUNNING:
            assert copy.status == page.status
            assert copy.player == page.player

    @pytest.mark.parametrize("name", PREFIXES)
    def test_holds_every_control_on_the_page_and_in_its_sections(
        self, plain, opened, declared, name
    ):
        for page in (plain(name), opened(name)):
            controls = set(page.shown()) - {"situation"} | set(page.sections())
            controls |= set(declared[name].view) - {"iter"}
            assert set(page.link) == {f"{page.prefix}_{control}" for control in controls}
            assert set(page.sections()) == set(sections_of(BY_NAME[name]))
            is_open = {page.link[f"{page.prefix}_{section}"] for section in page.sections()}
            assert is_open <= {"true" if page is opened(name) else "false"}

    @pytest.mark.parametrize("name", RUNNING)
    def test_browser_is_told_to_keep_the_position_and_the_seal(self, plain, name):
        page = plain(name)
        (data,) = page.components("copy_link")
        assert data["keep"] == [f"{page.prefix}_iter", f"{page.prefix}_quiz"]
        assert page.player["param"] == f"{page.prefix}_iter"

    def test_keeps_every_digit(self, visit):
        page = visit("gaussian_mixture")
        page.set(mean1=0.1234567890123456)
        assert visit("gaussian_mixture", **page.link).value("mean1") == 0.1234567890123456


class TestAddress:
    """What a reload shows: the browser reads the address again."""

    @pytest.mark.parametrize(
        ("name", "query", "title"),
        [
            ("gaussian_mixture", {"guess": "Typed in", "k": "1"}, "A variance that collapses"),
            ("k_means", {"k": "1"}, "Unequal sizes and spreads"),
        ],
    )
    def test_holds_what_a_situation_sets_before_its_control_appears(
        self, visit, declared, name, query, title
    ):
        page = visit(name, **{f"{PREFIXES[name]}_{c}": text for c, text in query.items()})
        page.set(situation=title)
        specs = declared[name].specs
        for control, value in declared[name].situations[title].values.items():
            text = page.at.query_params[f"{page.prefix}_{control}"]
            assert specs[control].nearest(text) == value
        copy = visit(name, **page.at.query_params)
        assert copy.value("situation") == title
        assert copy.link == page.link
        assert copy.status == page.status

    def test_holds_the_start_that_was_picked_from_many(self, visit):
        page = visit("two_coins", tc_many_starts="true")
        page.select("start_rows", {"rows": [2], "columns": [], "cells": []})
        assert page.at.query_params["tc_start"] == "3"
        # The browser adds which situation this comes from.
        copy = visit("two_coins", **page.at.query_params, tc_based="Wang’s article")
        assert copy.link == page.link
        assert copy.status == page.status

    def test_does_not_undo_a_situation_with_a_value_that_waited(self, visit):
        page = visit("gaussian_mixture", gm_guess="Typed in", gm_guess_seed="7")
        assert page.at.query_params == {"gm_guess": "Typed in"}
        page.set(situation="A variance that collapses")
        assert page.value("guess_seed") == 19

    def test_value_waits_for_its_control(self, visit):
        page = visit("two_coins", tc_guess_seed="7")
        page.set(trials=100)
        page.set(guess="Random")
        assert page.value("guess_seed") == 7
        assert page.at.query_params["tc_guess_seed"] == "7"

    @pytest.mark.parametrize("name", PREFIXES)
    def test_is_bare_after_a_link_that_holds_the_defaults(self, visit, plain, name):
        assert visit(name, **plain(name).link).at.query_params == {}

    @pytest.mark.parametrize("name", RUNNING)
    def test_reset_leaves_nothing_of_the_view(self, visit, plain, declared, name):
        page = visit(name)
        page.open(*page.sections())
        page.set(starts=2)
        page.press("reset")
        assert page.at.query_params == {}
        assert page.link == plain(name).link
        assert page.text == plain(name).text
        assert page.player["rewinds"] == 1

    def test_reset_empties_it(self, visit):
        page = visit("gaussian_mixture")
        page.set(k=4)
        page.set(size4=500, find=2)
        page.press("reset")
        assert page.at.query_params == {}
        page.set(k=4)
        assert page.value("size4") == visit("gaussian_mixture", gm_k="4").value("size4")

    def test_reset_returns_to_the_link_and_the_defaults_have_a_button_of_their_own(
        self, visit, plain
    ):
        page = visit("two_coins", tc_tosses="20", tc_start_a="0.3", tc_hill="true", tc_trials="1e9")
        link = page.link
        page.set(tosses=5, hard=True)
        page.open("teacher")
        page.press("reset")
        assert page.link == link
        page.switch("k_means")
        page.switch("two_coins")
        page.set(tosses=7)
        page.press("reset")
        assert (page.link, page.value("tosses")) == (link, 20)
        page.press("defaults")
        assert page.link == plain("two_coins").link
        assert "tc_defaults" not in [button.key for button in plain("two_coins").at.button]


class TestSituation:
    """The last situation stays, as what the settings come from."""

    def test_stays_the_current_one_while_what_it_asks_to_move_is_moved(self, visit, declared):
        page = visit("maximum_likelihood")
        situation = declared["maximum_likelihood"].situations["1,000 adults"]
        page.set(guess_mean=171.0, guess_std=9.5)
        assert page.value("situation") == "1,000 adults"
        assert page.question == situation.question
        page.set(size=999)
        assert page.value("situation") == "Based on “1,000 adults”"
        (asked,) = (i for i in page.at.info if "which you have changed" in i.proto.title)
        assert asked.value == situation.question

    def test_stays_as_what_the_settings_come_from_until_another_is_chosen(self, visit, declared):
        page = visit("two_coins")
        page.set(situation="Swapped names")
        situation = declared["two_coins"].situations["Swapped names"]
        page.set(tosses=11)

        def check(page):
            assert page.value("situation") == "Based on “Swapped names”"
            (asked,) = (i for i in page.at.info if "which you have changed" in i.proto.title)
            assert asked.value == situation.question
            assert "“Swapped names”" in asked.proto.title
            assert page.answer == said(page.name, situation, situation.answer)
            (label,) = (e.label for e in page.at.expander if "answer" in e.label)
            assert label == "The answer for “Swapped names”, as it was"

        check(page)
        check(visit("two_coins", **page.link))
        page.switch("k_means")
        page.at.query_params.clear()  # as Streamlit does where a page is left
        page.switch("two_coins")
        check(page)
        page.set(situation="Do and Batzoglou")
        assert page.value("situation") == "Do and Batzoglou"
        page.press("reset")
        assert page.value("situation") == "Wang’s article"
        assert "tc_based" not in page.link

    def test_link_of_before_and_an_unknown_one_have_none(self, visit):
        for query in ({}, {"tc_based": "x"}):
            page = visit("two_coins", tc_tosses="11", **query)
            assert page.value("situation") == "Your own settings"
            assert not page.at.info

    def test_words_may_be_computed_from_the_run_of_its_own_settings(self, visit, monkeypatch):
        asked = []

        def tell(run):
            asked.append(run.settings["rate_b"])
            return f"After {run.trace.n_iter} iterations."

        situations = BY_NAME["toy_lesson"].module("situations").SITUATIONS
        computed = replace(situations["Nearly alike"], question=tell, answer=tell)
        monkeypatch.setitem(situations, "Nearly alike", computed)
        page = visit("toy_lesson")
        page.set(situation="Nearly alike")
        iterations = page.table["iteration"].iloc[-1]
        assert page.question == f"After {iterations} iterations."
        assert set(asked) == {6.0}
        n_asked = len(asked)
        page.run()
        assert len(asked) == n_asked + 1  # the question: what is closed is not computed
        assert page.answer == f"After {iterations} iterations."
        page.set(rate_b=9.0)
        assert set(asked) == {6.0}
        assert page.answer == f"After {iterations} iterations."
        assert page.table["iteration"].iloc[-1] != iterations

    @pytest.mark.parametrize("name", PREFIXES)
    def test_answer_leaves_the_server_when_it_is_opened(self, visit, declared, name):
        page = visit(name)
        title, situation = next(iter(declared[name].situations.items()))
        assert page.value("situation") == title
        closed = next(e for e in page.at.expander if "what happened, and why" in e.label)
        assert not list(closed.children)
        answer = said(page.name, situation, situation.answer)
        assert not any(answer in element.value for element in page.at.markdown)
        assert page.answer == answer


class TestBetweenPages:
    def test_settings_are_kept(self, visit):
        page = visit("two_coins", tc_tosses="20")
        page.set(guess="Random", guess_seed=7)
        link, status = page.link, page.status
        page.switch("k_means")
        page.set(k=4)
        page.switch("two_coins")
        assert (page.link, page.status) == (link, status)
        page.switch("k_means")
        assert page.value("k") == 4

    def test_link_from_elsewhere_wins_over_what_is_kept(self, visit):
        page = visit("two_coins")
        page.set(tosses=20)
        page.switch("k_means")
        page.switch("two_coins", tc_tosses="30")
        assert page.value("tosses") == 30
        assert not page.notices

    def test_link_to_a_page_wins_over_what_it_was_set_to(self, visit, plain):
        page = visit("gaussian_mixture")
        page.set(data_seed=7)
        page.set(k=4)
        page.switch("k_means")
        page.switch("gaussian_mixture", gm_data_seed="1", gm_k="3", gm_max_iter="30")
        assert [page.value(c) for c in ("data_seed", "k", "max_iter")] == [1, 3, 30]
        assert page.at.query_params == {"gm_max_iter": "30"}
        assert not page.notices

    @pytest.mark.parametrize(
        "before",
        [
            {},
            {"k": 4, "mean1": 77.0, "sd2": 3.5, "size4": 12, "data_seed": 9, "student": 7},
            {"find": 3, "start": 5, "weights": False, "hard": True, "floor": 2.0, "tol": "1e-2"},
            {"guess": "Typed in", "max_iter": 5, "start_mean1": 1.0, "start_sd2": 0.5},
            {"situation": "A variance that collapses"},
        ],
        ids=str,
    )
    def test_offered_link_shows_just_these_groups_whatever_was_set_before(self, visit, before):
        components = [(150.25, 4.5, 321), (160.0, 4.75, 320), (181.0, 4.5, 12)]
        start = [(140.0, 9.0), (160.5, 9.0), (180.0, 8.0)]
        link = BY_NAME["gaussian_mixture"].link("groups", components=components, start=start)
        page = visit("gaussian_mixture")
        page.set(**before)
        page.switch("maximum_likelihood")
        page.switch("gaussian_mixture", **link)
        assert not page.notices
        shown = [[page.value(f"{f}{i}") for i in (1, 2, 3)] for f in ("mean", "sd", "size")]
        assert shown == [list(column) for column in zip(*components, strict=True)]
        assert [(page.value(f"start_mean{i}"), page.value(f"start_sd{i}")) for i in (1, 2, 3)] == (
            start
        )
        assert page.value("k") == 3
        assert not {"mean4", "sd4", "size4"} & set(page.shown())
        # The run is that of a visitor who follows the link straight away.
        fresh = visit("gaussian_mixture", **link)
        assert page.link == fresh.link
        assert page.status == fresh.status
        assert page.table.equals(fresh.table)
        sample = simulated.values(*shown, rng=stream(1, DATA))
        bars = page.charts[0].data["bars"]
        edges = bins(sample.data).edges
        density, _ = np.histogram(sample.data, bins=edges, density=True)
        np.testing.assert_array_equal(bars[bars["component"] == "1"]["height"], density)
        np.testing.assert_allclose(bars[bars["component"] == "1"]["low"], edges[:-1])

    def test_reset_is_kept_too(self, visit):
        page = visit("two_coins")
        page.set(tosses=20)
        page.press("reset")
        page.switch("k_means")
        page.switch("two_coins")
        assert page.value("tosses") == 10

    def test_pages_have_names_of_their_own(self, declared):
        prefixes = [controls.prefix for controls in declared.values()]
        assert len(set(prefixes)) == len(prefixes)
