"""The lessons, a folder each, and the list of them in their order.

Navigation, the cards of the start page, what is loaded at launch, and the tests that go over all
lessons read :data:`LESSONS`.
"""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]

ARTICLE, FURTHER = "The article’s examples", "Further examples"


@dataclass(frozen=True)
class Lesson:
    """A lesson of the app.

    Attributes
    ----------
    package : str
        Its folder, as Python imports it. The page is ``page.py`` there.
    title : str
        What navigation calls it.
    icon : str
        A Material icon.
    heading : str
        Under which it stands in the navigation.
    card : str
        What it shows, in a sentence or two, for the start page.
    """

    package: str
    title: str
    icon: str
    heading: str
    card: str

    @property
    def name(self) -> str:
        """The name of the folder."""
        return self.package.rpartition(".")[2]

    @property
    def url_path(self) -> str:
        """The lesson's path in the app's address."""
        return self.name.replace("_", "-")

    @property
    def page(self) -> str:
        """The script of the page, seen from the app's folder, as Streamlit wants it."""
        (folder,) = import_module(self.package).__path__
        return str(Path(folder, "page.py").relative_to(ROOT))

    def module(self, name: str) -> Any:
        """Return a module of the lesson, for example ``problem``."""
        return import_module(f"{self.package}.{name}")

    def link(self, name: str, **values: Any) -> dict[str, str]:
        """Return the query parameters of a link that the lesson offers to others.

        It is made by the function ``link_to_<name>`` of the lesson's ``situations.py``.
        """
        offered: dict[str, str] = getattr(self.module("situations"), f"link_to_{name}")(**values)
        return offered


LESSONS = [
    Lesson(
        "pages.maximum_likelihood",
        "Maximum likelihood",
        ":material/straighten:",
        ARTICLE,
        "One group, nothing hidden. The best parameters have a formula that reaches the top of the "
        "hill in a single step.",
    ),
    Lesson(
        "pages.k_means",
        "K-Means",
        ":material/scatter_plot:",
        ARTICLE,
        "Points in the plane, and each belongs wholly to the nearest of a few centres. The loop in "
        "its simplest form.",
    ),
    Lesson(
        "pages.two_coins",
        "Two coins",
        ":material/toll:",
        ARTICLE,
        "Heads were counted, but not which coin was tossed. Each trial is shared between the "
        "coins.",
    ),
    Lesson(
        "pages.gaussian_mixture",
        "Gaussian mixture",
        ":material/area_chart:",
        ARTICLE,
        "Numbers from several bell curves. Find means, standard deviations and shares together.",
    ),
    Lesson(
        "pages.mixture_in_the_plane",
        "Gaussian mixture in the plane",
        ":material/blur_on:",
        FURTHER,
        "Points from several clouds, such as the eruptions of a geyser. Ellipses turn and shrink "
        "until they fit.",
    ),
]


def lesson(title: str) -> Lesson:
    """Return the lesson of this title."""
    return next(lesson for lesson in LESSONS if lesson.title == title)
