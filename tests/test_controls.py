"""The controls' own rules, without a page: nearest values, texts in links, and quoting."""

import math

import pytest
from conftest import PREFIXES, SECTIONS
from hypothesis import given
from hypothesis import strategies as st

from em_ui.controls.page import (
    VIEW,
    Choice,
    Number,
    Section,
    Switch,
    _quoted,
    _same,
    iteration_limit,
    seed,
    start_number,
    student,
    to_find,
    tolerance,
    view,
)

WHOLE = Number("Whole", 10, 1, 200, 1)
BY_FIVES = Number("By fives", 10, 5, 50, 5)
DECIMAL = Number("Decimal", 0.5, -2.0, 3.0, 0.25)
SLIDER = Number("Slider", 0.5, 0.1, 5.0, 0.1, slider=True)
NUMBERS = (WHOLE, BY_FIVES, DECIMAL, SLIDER)
CHOICE = Choice("Choice", ("0", "1e-6", "Zwei"), "1e-6")
SWITCH = Switch("Switch", True)
SECTION = Section("Section", ":material/calculate:")

anything = st.one_of(st.text(), st.floats(), st.integers(), st.none(), st.booleans())


class TestNumber:
    @pytest.mark.parametrize("spec", NUMBERS, ids=lambda spec: spec.label)
    @given(given_value=anything)
    def test_nearest_is_allowed_whatever_comes(self, spec, given_value):
        value = spec.nearest(given_value)
        assert spec.low <= value <= spec.high
        assert type(value) is type(spec.default)
        assert spec.nearest(value) == value

    @pytest.mark.parametrize("spec", NUMBERS, ids=lambda spec: spec.label)
    @given(number=st.floats(-10, 300))
    def test_nothing_allowed_is_nearer(self, spec, number):
        steps = round((spec.high - spec.low) / spec.step)
        allowed = [spec.low + i * spec.step for i in range(steps + 1)]
        if not spec.slider and isinstance(spec.step, float):
            allowed.append(min(max(number, spec.low), spec.high))
        distance = min(abs(number - value) for value in allowed)
        assert abs(number - spec.nearest(number)) == pytest.approx(distance, abs=1e-9)

    @pytest.mark.parametrize("raw", ["", "x", "1,5", "nan", None, "0x1f", math.nan])
    def test_unreadable_is_the_default(self, raw):
        assert DECIMAL.nearest(raw) == DECIMAL.default

    @pytest.mark.parametrize("raw", ["inf", "1e309", math.inf, 10**400 - 1])
    def test_infinite_is_the_bound(self, raw):
        # An integer too large for a float cannot come from a link, and is no number for a widget.
        expected = DECIMAL.default if isinstance(raw, int) else DECIMAL.high
        assert DECIMAL.nearest(raw) == expected

    @pytest.mark.parametrize("spec", NUMBERS, ids=lambda spec: spec.label)
    @given(number=st.floats(-10, 300))
    def test_text_gives_the_value_back(self, spec, number):
        value = spec.nearest(number)
        assert spec.nearest(spec.text(value)) == value
        assert _same(spec.text(value), value)

    @pytest.mark.parametrize(
        ("value", "text"), [(10, "10"), (10.0, "10"), (0.1, "0.1"), (-2.5, "-2.5"), (1e-7, "1e-07")]
    )
    def test_text_is_short(self, value, text):
        assert DECIMAL.text(value) == text

    def test_sliders_do_not_gather_digits(self):
        assert SLIDER.nearest(0.1 + 2 * 0.1) == 0.3


class TestChoiceSwitchAndSection:
    @given(given_value=anything)
    def test_nearest_is_allowed_whatever_comes(self, given_value):
        assert CHOICE.nearest(given_value) in CHOICE.options
        assert SWITCH.nearest(given_value) in (True, False)
        assert SECTION.nearest(given_value) in (True, False)

    def test_choices_are_exact(self):
        assert CHOICE.nearest("Zwei") == "Zwei"
        assert CHOICE.nearest("zwei") == CHOICE.default
        assert CHOICE.nearest("1E-6") == CHOICE.default
        assert CHOICE.nearest("0.0") == CHOICE.default

    @pytest.mark.parametrize(
        ("raw", "value"),
        [("true", True), ("FALSE", False), (False, False), ("0", True), ("no", True), ("", True)],
    )
    def test_switch_knows_true_and_false_alone(self, raw, value):
        assert SWITCH.nearest(raw) is value

    @pytest.mark.parametrize(
        ("raw", "value"),
        [("true", True), ("FALSE", False), (True, True), ("1", False), ("", False)],
    )
    def test_section_is_closed_unless_it_is_said_to_be_open(self, raw, value):
        assert SECTION.nearest(raw) is value
        assert SECTION.nearest(SECTION.text(value)) is value

    def test_texts_give_the_values_back(self):
        assert all(CHOICE.nearest(CHOICE.text(option)) == option for option in CHOICE.options)
        assert all(SWITCH.nearest(SWITCH.text(value)) is value for value in (True, False))


class TestSame:
    @pytest.mark.parametrize(
        ("text", "value"),
        [("10", 10), ("10.0", 10), ("1e1", 10), ("0.30", 0.3), ("True", True), ("Zwei", "Zwei")],
    )
    def test_holds(self, text, value):
        assert _same(text, value)

    @pytest.mark.parametrize(
        ("text", "value"),
        [("10.1", 10), ("", 10), ("ten", 10), ("nan", 10), ("1", True), ("zwei", "Zwei")],
    )
    def test_does_not_hold(self, text, value):
        assert not _same(text, value)


class TestQuoted:
    @given(text=st.text())
    def test_is_short_and_inert(self, text):
        quoted = _quoted(text)
        if quoted == "empty":
            return
        assert quoted[0] == quoted[-1] == "`"
        assert "`" not in quoted[1:-1]
        assert quoted.isprintable()
        assert len(quoted) <= 33
        assert quoted[1:-1].strip()

    def test_keeps_what_is_harmless(self):
        assert _quoted("Zwölf $x$ <b>") == "`Zwölf $x$ <b>`"

    def test_cuts_what_is_long(self):
        assert _quoted("x" * 31) == f"`{'x' * 30}…`"
        assert _quoted("x" * 30) == f"`{'x' * 30}`"

    @pytest.mark.parametrize("text", ["", "  ", "`", "\n\t", "\u202e"])
    def test_calls_what_cannot_be_seen_empty(self, text):
        assert _quoted(text) == "empty"


class TestDeclarations:
    """What the pages declare fits together."""

    @pytest.mark.parametrize("name", PREFIXES)
    def test_defaults_are_allowed(self, declared, name):
        for spec in {**declared[name].specs, **declared[name].view}.values():
            assert spec.nearest(spec.default) == spec.default
            assert type(spec.nearest(spec.default)) is type(spec.default)
            if isinstance(spec, Number):
                assert {type(x) for x in (spec.low, spec.high, spec.step)} == {type(spec.default)}

    @pytest.mark.parametrize("name", PREFIXES)
    def test_situations_name_controls(self, declared, name):
        for situation in declared[name].situations.values():
            assert set(situation.values) <= set(declared[name].specs)

    @pytest.mark.parametrize("name", PREFIXES)
    def test_one_situation_is_the_defaults(self, declared, name):
        (situation,) = [s for s in declared[name].situations.values() if not s.values]
        assert situation is next(iter(declared[name].situations.values()))

    @pytest.mark.parametrize("name", PREFIXES)
    def test_names_and_labels_of_controls_and_view_keep_apart(self, declared, name):
        specs, shown = declared[name].specs, declared[name].view
        assert not set(specs) & set(shown)
        labels = [control.label for control in [*specs.values(), *shown.values()]]
        assert len(set(labels)) == len(labels)

    @pytest.mark.parametrize("name", PREFIXES)
    def test_truth_names_controls(self, declared, name):
        assert set(declared[name].truth) <= set(declared[name].specs)
        assert bool(declared[name].truth) == (name != "maximum_likelihood")

    def test_shared_controls(self):
        assert (seed("Seed").low, seed("Seed").default) == (0, 1)
        assert iteration_limit(20).high == 500
        choice = tolerance("trial")
        assert all(float(option) >= 0 for option in choice.options)
        assert "trial" in choice.help
        assert (start_number().low, start_number().high) == (1, VIEW["starts"].high) == (1, 200)
        assert (student().low, student().default) == (0, 0)
        assert (to_find("Coins", 8).default, to_find("Coins", 8).high) == (0, 8)
        assert to_find("Coins", 8).label == "Coins to look for"

    def test_view_is_the_same_on_every_page_but_for_the_word_and_the_sections(self):
        assert view("Trial", SECTIONS) == {
            **VIEW,
            "observation": Number("Trial", 1, 1, 100_000, 1, to_the_last=True),
        }
        one = view("Trial", ["many"])
        assert one.keys() == VIEW.keys() - set(SECTIONS) | {"many"}
        # Half-steps between the iterations, and all of them.
        assert (VIEW["iter"].low, VIEW["iter"].high, VIEW["iter"].step) == (0, 500, 0.5)
        assert not any(c.default for c in VIEW.values() if isinstance(c, Section))
