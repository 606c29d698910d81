"""Published data sets: each with where it comes from and what it is about.

>>> from em_core.data import old_faithful
>>> geyser = old_faithful()
>>> geyser.columns
('eruptions', 'waiting')
>>> geyser.columns_of("eruptions", "waiting").shape
(272, 2)
>>> round(geyser.column("waiting").mean(), 3)
np.float64(70.897)
"""

import functools
from dataclasses import dataclass
from importlib import resources

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Numbers that somebody published.

    Attributes
    ----------
    name : str
        What the set is called.
    columns : tuple of str
        Names of the d columns.
    values : ndarray, shape (n, d)
        The numbers, one observation a row, in the units below. They cannot be written to.
    labels : ndarray of int, shape (n,), or None
        Which group each observation is known to come from, if that is known. Cannot be written to.
    groups : tuple of str
        What the labels 0, 1, ... stand for; empty without labels.
    units : tuple of str
        Unit of each column, empty for counts.
    source : str
        Where it was published.
    description : str
        What was observed, and what is to be known of it, in a few sentences.
    """

    name: str
    columns: tuple[str, ...]
    values: Array
    labels: npt.NDArray[np.int64] | None
    groups: tuple[str, ...]
    units: tuple[str, ...]
    source: str
    description: str

    def __post_init__(self) -> None:
        self.values.setflags(write=False)
        if self.labels is not None:
            self.labels.setflags(write=False)

    def column(self, name: str) -> Array:
        """Return the numbers of one column, shape (n,).

        Raises
        ------
        ValueError
            If there is no such column.
        """
        return self.values[:, self._place(name)]

    def columns_of(self, *names: str) -> Array:
        """Return the numbers of some columns in this order, shape (n, len(names)).

        Raises
        ------
        ValueError
            If there is no such column, or none is asked for.
        """
        if not names:
            raise ValueError(f"name at least one of the columns of {self.name}: {self._listed}")
        return self.values[:, [self._place(name) for name in names]]

    @property
    def _listed(self) -> str:
        return ", ".join(self.columns)

    def _place(self, name: str) -> int:
        if name not in self.columns:
            raise ValueError(f"{self.name} has the columns {self._listed}, got {name!r}")
        return self.columns.index(name)


@functools.cache
def old_faithful() -> Dataset:
    """Return 272 eruptions of the geyser Old Faithful: their length, and the wait for the next."""
    file = resources.files("em_core.data") / "old_faithful.csv"
    with file.open(encoding="utf-8") as lines:
        values = np.loadtxt(lines, delimiter=",", skiprows=1)
    return Dataset(
        name="Old Faithful",
        columns=("eruptions", "waiting"),
        values=values,
        labels=None,
        groups=(),
        units=("min", "min"),
        source=(
            "Azzalini and Bowman, “A look at some data on the Old Faithful geyser”, Applied "
            "Statistics 39 (1990), 357–365; in this form: Härdle, Smoothing Techniques, Springer "
            "(1991)"
        ),
        description=(
            "272 eruptions of a geyser in Yellowstone National Park, observed in August 1985: how "
            "long each lasted, and how long one waited for the next. Short eruptions are followed "
            "by short waits, and long ones by long waits. No eruption says which kind it is."
        ),
    )


@functools.cache
def iris() -> Dataset:
    """Return 150 irises of three species, with four measurements each, from scikit-learn."""
    from sklearn.datasets import load_iris  # a second of import, needed here alone

    found = load_iris()
    return Dataset(
        name="Iris",
        columns=tuple(name.removesuffix(" (cm)") for name in found.feature_names),
        values=found.data.astype(float),
        labels=found.target.astype(np.int64),
        groups=tuple(str(name) for name in found.target_names),
        units=("cm",) * found.data.shape[1],
        source=(
            "Fisher, “The use of multiple measurements in taxonomic problems”, Annals of Eugenics "
            "7 (1936), 179–188; measured by Anderson"
        ),
        description=(
            "Sepals and petals of 150 irises, 50 of each of three species, which serve as known "
            "labels. Setosa lies apart; versicolor and virginica overlap."
        ),
    )


@functools.cache
def coin_trials() -> Dataset:
    """Return the five trials of ten tosses each, with two coins A and B, of a well-known primer."""
    heads = [5, 9, 8, 4, 7]
    return Dataset(
        name="Do and Batzoglou’s five trials",
        columns=("heads", "tosses"),
        values=np.array([[h, 10] for h in heads], dtype=float),
        labels=np.array([1, 0, 0, 1, 0], dtype=np.int64),
        groups=("A", "B"),
        units=("", ""),
        source=(
            "Do and Batzoglou, “What is the expectation maximization algorithm?”, Nature "
            "Biotechnology 26 (2008), 897–899, figure 1"
        ),
        description=(
            "Five times one of two coins was drawn and tossed ten times. With the coins known, A "
            "shows heads in 24 of 30 tosses and B in 9 of 20."
        ),
    )


@functools.cache
def darwin() -> Dataset:
    """Return the differences in height of 15 pairs of maize plants, in eighths of an inch."""
    differences = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
    return Dataset(
        name="Darwin’s maize",
        columns=("difference",),
        values=np.array(differences, dtype=float)[:, None],
        labels=None,
        groups=(),
        units=("inch/8",),
        source=(
            "Darwin, The Effects of Cross and Self Fertilisation in the Vegetable Kingdom, Murray "
            "(1876); differences in this order: Fisher, The Design of Experiments, Oliver and Boyd "
            "(1935), section 17"
        ),
        description=(
            "15 pairs of maize plants, one of each pair from a crossed flower and one from a "
            "self-fertilised flower: by how much the crossed one is taller, in eighths of an inch. "
            "Two of the pairs are very different from the others."
        ),
    )


@functools.cache
def galaxies() -> Dataset:
    """Return the velocities of 82 galaxies, in km/s."""
    velocities = """
         9172  9350  9483  9558  9775 10227 10406 16084 16170 18419 18552 18600 18927 19052
        19070 19330 19343 19349 19440 19473 19529 19541 19547 19663 19846 19856 19863 19914
        19918 19973 19989 20166 20175 20179 20196 20215 20221 20415 20629 20795 20821 20846
        20875 20986 21137 21492 21701 21814 21921 21960 22185 22209 22242 22249 22314 22374
        22495 22746 22747 22888 22914 23206 23241 23263 23484 23538 23542 23666 23706 23711
        24129 24285 24289 24366 24717 24990 25633 26960 26995 32065 32789 34279
    """
    return Dataset(
        name="82 galaxies",
        columns=("velocity",),
        values=np.array(velocities.split(), dtype=float)[:, None],
        labels=None,
        groups=(),
        units=("km/s",),
        source=(
            "Postman, Huchra and Geller, “Probes of large-scale structure in the Corona Borealis "
            "region”, Astronomical Journal 92 (1986), 1238–1247; chosen by Roeder, “Density "
            "estimation with confidence sets exemplified by superclusters and voids in the "
            "galaxies”, Journal of the American Statistical Association 85 (1990), 617–624"
        ),
        description=(
            "How fast 82 galaxies in six cuts through the region of Corona Borealis move away from "
            "us. Several humps would be evidence of superclusters with voids between them; how "
            "many there are is disputed. The 78th velocity is 26,960, which some copies misprint "
            "as 26,690."
        ),
    )
