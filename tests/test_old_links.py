"""Old links: what teachers have sent around or printed opens what it opened when it was copied.

``old_links.json`` holds links of the time before the lessons got folders and sections other keys,
and what each of them showed by the code of that time.
"""

import json
import urllib.parse
from pathlib import Path

import numpy as np
import pytest

from em_core import match_components

# By the key that a section has in an old link, its key now. Only this follows a renaming.
SECTIONS_NOW = {
    "by_hand": "by_hand",
    "versus": "hard_against_soft",
    "surface": "hill",
    "many": "many_starts",
    "speed": "convergence",
    "code": "code",
    "teacher": "teacher",
}
# Controls that old links do not know, and what they then stand at.
NEW = {
    "hill": False,
    "gap": False,
    "data": "Simulated",
    "stds": "Each its own",
    "place": False,
}
# Students of K-Means get other points around the class's centres now, once also other centres.
REDRAWN = {"a student's data, the student's link"}
LINKS = json.loads((Path(__file__).parent / "old_links.json").read_text())


@pytest.fixture(scope="module", params=LINKS, ids=lambda link: f"{link['page']}: {link['what']}")
def link(request):
    return request.param


@pytest.fixture(scope="module")
def page(visit, link):
    query = urllib.parse.parse_qsl(link["query"], keep_blank_values=True, strict_parsing=True)
    return visit(link["page"], **dict(query))


def check_close(now, then):
    # Sums may be added up in another order, and a gain is a difference of two large ones.
    np.testing.assert_allclose(np.array(now, float), np.array(then, float), rtol=1e-9, atol=1e-9)


def by_component(names, values):
    """Return the columns of a table that belong to each component in a row of their own."""
    component = np.array([name.split()[1] for name in names])
    return np.array([values[:, component == k].ravel() for k in dict.fromkeys(component)])


def test_controls_have_the_same_values(page, link):
    # A student's guess is asked for in a form, which is no control.
    names = [n for n in page.shown() if n != "situation" and not page.widget(n).form_id]
    then = link["controls"]
    new = {name: page.value(name) for name in names if name not in then}
    assert new == {name: NEW[name] for name in new}
    assert {name: page.value(name) for name in names if name in then} == then


def test_same_sections_are_open(page, link):
    state = page.at.session_state
    keys = {old: f"{page.prefix}_{now}" for old, now in SECTIONS_NOW.items()}
    on_page = {old: key for old, key in keys.items() if key in state}
    assert {old for old, key in on_page.items() if state[key]} == set(link["open"])


def test_player_stands_at_the_same_place(page, link):
    position = page.at.query_params.get(f"{page.prefix}_iter")
    assert (position and float(position)) == link["position"]


def test_as_much_is_mended(page, link):
    assert len(page.notices) == link["notices"]


def test_numbers_are_the_same(visit, page, link):
    if link["page"] == "maximum_likelihood":
        query = dict(urllib.parse.parse_qsl(link["query"]))
        uncovered = visit("maximum_likelihood", ml_hill="true", **query)
        check_close([m.value.replace(",", "") for m in uncovered.at.metric], link["metrics"])
        assert page.at.metric[0].value == uncovered.at.metric[0].value
        return
    table = page.table
    if link["page"] == "k_means" and link["what"] in REDRAWN:
        assert len(table) != link["rows"]
        return
    assert len(table) == link["rows"]
    then = np.array(link["table"], float)
    now = table.iloc[then[:, 0].astype(int)].to_numpy(float)
    check_close(now[:, [0, -2, -1]], then[:, [0, -2, -1]])
    # What was shown was relabelled to the truth, and mixing weights that are fixed, which come
    # last, were listed. Now a run is shown as it ran.
    names = list(table)[1:-2]
    ours, theirs = (by_component(names, rows[:, 1 : 1 + len(names)]) for rows in (now, then))
    check_close(ours[match_components(ours, theirs)], theirs)
