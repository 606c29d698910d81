"""The controls' own rules, without a page: nearest values, texts in links, and quoting."""

import math
import os
import subprocess
import sys
from dataclasses import replace

import pytest
from conftest import BY_NAME, PREFIXES, ROOT, RUNNING, sections_of
from hypothesis import given
from hypothesis import strategies as st

from em_ui import sections
from em_ui.controls import Choice, Number, Section, Switch, seal, seed, to_find, usual
from em_ui.controls.address import _same
from em_ui.controls.specs import VIEW, iteration_limit, start_number, student, tolerance
from em_ui.sections import by_hand, hill, how_many

WHOLE = Number("Whole", 10, 1, 200, 1)
BY_FIVES = Number("By fives", 10, 5, 50, 5)
DECIMAL = Number("Decimal", 0.5, -2.0, 3.0, 0.25)
SLIDER = Number("Slider", 0.5, 0.1, 5.0, 0.1, slider=True)
NUMBERS = (WHOLE, BY_FIVES, DECIMAL, SLIDER)
CHOICE = Choice("Choice", ("0", "1e-6", "Zwei"), "1e-6")
SWITCH = Switch("Switch", True)
SECTION = Section("Section", ":material/calculate:", by_hand.draw)

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

    @pytest.mark.parametrize("spec", NUMBERS[:3], ids=lambda spec: spec.label)
    @given(
        text=st.one_of(st.text(max_size=20), st.floats().map(repr), st.integers(-9, 300).map(str))
    )
    def test_what_is_typed_is_read_or_not_allowed(self, spec, text):
        value = spec.read(text)
        try:
            allowed = spec.nearest(float(text)) == float(text)
        except ValueError:
            allowed = False
        assert (value is not None) == allowed
        if allowed:
            assert (value, type(value)) == (float(text), type(spec.default))

    def test_allowed_in_words(self):
        assert WHOLE.allowed == "a whole number from 1 to 200"
        assert DECIMAL.allowed == "a number from −2 to 3"
        assert replace(DECIMAL, high=12_500.0).allowed == "a number from −2 to 12,500"

    @given(number=st.floats(-2, 3))
    def test_table_shows_all_digits_unless_the_format_names_some(self, number):
        for spec in (DECIMAL, replace(DECIMAL, format="%g")):
            assert float(spec.shown(number)) == number
        assert replace(DECIMAL, format="%.2f").shown(2.71828) == "2.72"
        assert WHOLE.shown(20) == "20"

    def test_sliders_do_not_gather_digits(self):
        assert SLIDER.nearest(0.1 + 2 * 0.1) == 0.3

    def test_sliders_that_fit_data_keep_what_is_finer_than_their_step(self):
        # A link is mended before it is known which step fits its data.
        fine = Number("x", 0.5, 0.0, 1.0, 0.01, slider=True, fits_data=True)
        assert fine.nearest("0.00125") == 0.00125
        assert fine.nearest(0.1 + 0.2) == 0.3
        assert fine.nearest("7") == 1.0
        coarse = Number("x", 0.5, 0.0, 1.0, 0.01, slider=True)
        assert coarse.nearest("0.00125") == 0.0


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


# What the view of a lesson has besides that of all.
OWN_VIEW = {
    "k_means": {"across", "up", "place", "place_k"},
    "gaussian_mixture": {"across", "up"},
    "mixture_in_the_plane": {"across", "up", "place", "place_k"},
}


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
        assert bool(declared[name].truth) == (name in RUNNING)

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
        shared = usual("trial", data_seed=2, guess_seed=3, tol="0", max_iter=20)
        names = ["data_seed", "student", "guess_seed", "start", "tol", "max_iter"]
        assert list(shared) == names
        assert [shared[name].default for name in names] == [2, 0, 3, 1, "0", 20]
        assert shared["tol"] == tolerance("trial", "0")

    @pytest.mark.parametrize("name", RUNNING)
    def test_view_is_the_same_on_every_page_but_for_the_word_and_the_sections(self, declared, name):
        noun = BY_NAME[name].module("problem").WORDS.observation.capitalize()
        own = OWN_VIEW.get(name, set())
        if "how_many" in sections_of(BY_NAME[name]):
            own = own | set(how_many.VIEW)
        assert declared[name].view == {
            **VIEW,
            "observation": Number(noun, 1, 1, 100_000, 1, to_the_last=True),
            **{control: declared[name].view[control] for control in own},
            **sections_of(BY_NAME[name]),
        }
        # Half-steps between the iterations, and all of them.
        assert (VIEW["iter"].low, VIEW["iter"].high, VIEW["iter"].step) == (0, 500, 0.5)
        assert not any(isinstance(control, Section) for control in VIEW.values())
        assert not any(section.default for section in sections_of(BY_NAME[name]).values())


SHARED = ["by_hand", "many_starts", "convergence", "code", "teacher"]


class TestSectionsOfALesson:
    def test_known_ones_come_in_the_order_of_the_page(self):
        assert list(sections.sections_of()) == SHARED
        everything = sections.sections_of(hill={}, hard_against_soft={})
        assert list(everything) == ["by_hand", "hard_against_soft", "hill", *SHARED[1:]]

    def test_own_ones_stand_before_them(self):
        own = {name: Section(name, ":material/add:", by_hand.draw) for name in ("second", "first")}
        found = sections.sections_of(hill={}, **own)
        assert list(found) == ["second", "first", "by_hand", "hill", *SHARED[1:]]
        assert found["first"] is own["first"]

    def test_known_ones_can_be_drawn_in_another_way_or_changed(self):
        def draw(c, run):
            raise NotImplementedError

        plain = sections.sections_of(hill={})
        changed = sections.sections_of(hill=draw, code={"follows": True, "label": "Code"})
        assert changed["hill"].draw is draw
        assert plain["hill"].draw is hill.draw
        assert (changed["hill"].label, changed["hill"].follows) == (plain["hill"].label, True)
        assert (changed["code"].label, changed["code"].follows) == ("Code", True)
        assert changed["code"].draw is plain["code"].draw
        assert list(changed) == list(plain)

    def test_unknown_ones_are_an_error(self):
        with pytest.raises(KeyError, match="hil"):
            sections.sections_of(hil={})

    @pytest.mark.parametrize("name", RUNNING)
    def test_lesson_has_them_on_its_page_in_this_order(self, plain, name):
        page = plain(name)
        labels = [section.label for section in sections_of(BY_NAME[name]).values()]
        on_page = [e.label for e in page.at.expander if e.label in labels]
        assert on_page == labels
        known = list(sections.sections_of(hill={}, hard_against_soft={}, how_many={}))
        names = [n for n in page.sections() if n in known]
        assert names == [n for n in known if n in names]
        assert set(SHARED) <= set(names)
        assert page.sections()[-len(names) :] == names


class TestKey:
    """The key of links for students."""

    @pytest.fixture(autouse=True)
    def fresh(self, monkeypatch):
        monkeypatch.delenv(seal.ENVIRONMENT, raising=False)
        seal._cipher.cache_clear()
        yield
        seal._cipher.cache_clear()

    def test_is_made_once_and_only_its_owner_reads_it(self, monkeypatch, tmp_path):
        monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
        first = seal._passphrase()
        assert seal._passphrase() == first
        (file,) = tmp_path.iterdir()
        assert file.stat().st_mode & 0o777 == 0o600
        token = seal.seal("tc", {"values": {"true_a": 0.5}})
        seal._cipher.cache_clear()  # another process
        assert seal.unseal("tc", token) == {"values": {"true_a": 0.5}}
        assert seal.unseal("km", token) is None

    def test_without_a_place_to_keep_it_there_is_one_and_a_warning(
        self, monkeypatch, tmp_path, caplog
    ):
        (tmp_path / "file").touch()
        monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "file"))
        assert len(seal._passphrase()) == 32
        assert seal.ENVIRONMENT in caplog.text

    @pytest.mark.parametrize("passphrase", ["x", "correct horse battery staple", "ü" * 200])
    def test_may_be_any_text_and_a_short_one_is_warned_of(self, monkeypatch, caplog, passphrase):
        monkeypatch.setenv(seal.ENVIRONMENT, passphrase)
        assert seal.unseal("tc", seal.seal("tc", {"a": 1})) == {"a": 1}
        assert ("has 1 characters" in caplog.text) == (passphrase == "x")

    @pytest.mark.parametrize("shared", [{"EM_QUIZ_KEY": "one key for all of them"}, {}], ids=str)
    def test_processes_open_each_others_links(self, tmp_path, shared):
        servers = [another_process(STATE_DIRECTORY=str(tmp_path), **shared) for _ in range(2)]
        with servers[0] as first, servers[1] as second:
            # Both seal at once, where nothing is kept yet.
            for process in servers:
                tell(process, 'print(seal.seal("tc", {"values": {"true_a": 0.5}}))')
            tokens = [heard(process) for process in servers]
            for token, other in zip(tokens, (second, first), strict=True):
                tell(other, f'print(seal.unseal("tc", "{token}"))')
                assert heard(other) == "{'values': {'true_a': 0.5}}"
        assert [file.name for file in tmp_path.iterdir()] == ([] if shared else ["quiz.key"])

    @pytest.mark.parametrize(
        "one", [{"EM_QUIZ_KEY": "the key of another server"}, {"STATE_DIRECTORY": "one"}], ids=str
    )
    def test_processes_with_other_keys_do_not(self, tmp_path, one):
        one = {name: value.replace("one", str(tmp_path / "one")) for name, value in one.items()}
        own = {"STATE_DIRECTORY": str(tmp_path / "other")}
        with another_process(**own | one) as first, another_process(**own) as second:
            tell(first, 'print(seal.seal("tc", {"values": {"true_a": 0.5}}))')
            tell(second, f'print(seal.unseal("tc", "{heard(first)}"))')
            assert heard(second) == "None"

    def test_where_no_file_can_be_made_the_log_of_the_server_says_so(self):
        # There even an administrator cannot make one.
        with another_process(STATE_DIRECTORY="/proc/em") as process:
            tell(process, 'print(seal.seal("tc", {"values": {}}))')
            tell(process, f'print(seal.unseal("tc", "{heard(process)}"))')
            assert heard(process) == "{'values': {}}"
            _, log = process.communicate()
        assert "/proc/em/quiz.key" in log
        assert seal.ENVIRONMENT in log


def another_process(**environment):
    """Return a process that has loaded the app's code, and does what it is asked."""
    asked = "import sys\nfrom em_ui.controls import seal\nfor line in sys.stdin: exec(line)"
    own = {name: value for name, value in os.environ.items() if name != seal.ENVIRONMENT}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    command = [sys.executable, "-u", "-c", asked]
    return subprocess.Popen(command, env=own | environment, cwd=ROOT, text=True, **pipes)


def tell(process, line):
    process.stdin.write(line + "\n")
    process.stdin.flush()


def heard(process):
    """Return the next line that a process prints."""
    return process.stdout.readline().strip()
