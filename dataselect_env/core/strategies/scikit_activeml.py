"""Adapter for the query strategies of scikit-activeml, an optional library; they are found by class name.

With version 1.0.1, these classes of ``skactiveml.pool`` work: Badge, BatchBALD, Clue, ContrastiveAL, CoreSet,
CostEmbeddingAL, DiscriminativeAL, DropQuery, EpistemicUncertaintySampling (two classes only), Falcun, FourDs,
GreedyBALD, GreedySamplingX, MaxHerding, ProbCover, ProbabilisticAL, QueryByCommittee, RandomSampling, TypiClust and
UncertaintySampling. Classes for regression, wrappers of other strategies and those in ``TOO_SLOW`` are
refused.

Reference:
    Kottke et al., "scikit-activeml: A Library and Toolbox for Active Learning Algorithms", 2021.
"""

from __future__ import annotations

import inspect
import re
import textwrap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from threading import RLock
from typing import Any, Final

import numpy as np

from dataselect_env.core.arrays import Floats, Indices, Labels
from dataselect_env.core.errors import InvalidInput

MOST_CANDIDATES: Final = 500
"""Largest number of samples that a strategy sees: the cost of some is quadratic in it."""
PREFIX: Final = "skactiveml_"
"""Prefix of the names of these strategies in actions."""
TOO_SLOW: Final = frozenset({"MonteCarloEER", "Quire", "ValueOfInformationEER"})
"""Classes that take seconds for one batch: they retrain a model or invert a matrix for every sample."""
CLASSIFIERS: Final = {
    "EpistemicUncertaintySampling": "ParzenWindowClassifier",
    "FourDs": "MixtureModelClassifier",
    "ProbabilisticAL": "ParzenWindowClassifier",
}
"""Classifiers of ``skactiveml.classifier`` by strategy class, for strategies that cannot use a logistic regression."""
TREES: Final = 10
"""Members of a committee, which is a random forest."""
JITTER: Final = 0.01
"""Standard deviations by which rows are moved apart for a class that fails, as some do on duplicated rows."""

_SUPPLIED = frozenset({"self", "X", "y", "clf", "estimator", "discriminator", "ensemble", "classes"})
_lock = RLock()


@contextmanager
def _isolated_globals(seed: int = 0) -> Iterator[None]:
    """Silence warnings, and seed numpy's global generator and restore it afterwards; one thread at a time.

    The warnings concern classifiers that did not converge and duplicated rows, about which an agent can do nothing. A
    few classes draw from the global generator despite their seed, for example CostEmbeddingAL through its SVR.
    """
    with _lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        state = np.random.get_state()  # noqa: NPY002
        np.random.seed(seed)  # noqa: NPY002
        try:
            yield
        finally:
            np.random.set_state(state)  # noqa: NPY002


def action_name(class_name: str) -> str:
    """Return the name of a class in actions: ``skactiveml_query_by_committee`` for QueryByCommittee."""
    return PREFIX + re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", class_name).lower()


def find(class_name: str) -> type:
    """Return the query strategy class of this name from ``skactiveml.pool``.

    Raises:
        InvalidInput: The library is not installed, there is no such class, or it cannot be used here.
    """
    try:
        with _isolated_globals():
            pool = import_module("skactiveml.pool")
            base = import_module("skactiveml.base").SingleAnnotatorPoolQueryStrategy
    except ImportError:
        raise InvalidInput("scikit-activeml is not installed: pip install 'dataselect-env[skactiveml]'") from None
    names = [name for name in pool.__all__ if isinstance(getattr(pool, name), type)]
    if class_name not in names or not issubclass(getattr(pool, class_name), base):
        usable = ", ".join(name for name in names if issubclass(getattr(pool, name), base) and not _refusal(pool, name))
        raise InvalidInput(f"scikit-activeml has no such strategy; choose one of {usable}")
    if refusal := _refusal(pool, class_name):
        raise InvalidInput(f"{class_name} of scikit-activeml cannot be used here: {refusal}")
    kind: type = getattr(pool, class_name)
    return kind


def _refusal(pool: Any, class_name: str) -> str:
    """Return the reason why a class cannot be used, or "" if it can."""
    if class_name in TOO_SLOW:
        return "it takes seconds for one batch"
    kind = getattr(pool, class_name)
    parameters = [*_parameters(kind.__init__).values(), *_parameters(kind.query).values()]
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return "it wraps another strategy; name that one"
    needed = [parameter.name for parameter in parameters if parameter.default is parameter.empty]
    unmet = [name for name in needed if name not in _SUPPLIED]
    return f"it needs {', '.join(unmet)}" if unmet else ""


def _parameters(function: Any) -> dict[str, inspect.Parameter]:
    """Return the parameters of a function by name."""
    return dict(inspect.signature(function).parameters)


def title_and_source(kind: type) -> tuple[str, str]:
    """Return a one-sentence description of a class and its first reference, both from its docstring."""
    doc = inspect.getdoc(kind) or ""
    title = doc.split("\n", 1)[0].strip().rstrip(".") or kind.__name__
    reference = re.search(r"^\.\. \[1\] (.+?)(?:\n\s*\n|\n\.\. \[|\Z)", doc, re.MULTILINE | re.DOTALL)
    cited = " ".join(reference[1].split()) if reference else "scikit-activeml"
    return f"{title}, by scikit-activeml with its own model.", cited


def _models(class_name: str, wanted: dict[str, inspect.Parameter], classes: Labels, seed: int) -> dict[str, Any]:
    """Return an untrained model for each parameter in ``wanted`` that takes one, by name."""
    from sklearn.ensemble import RandomForestClassifier  # noqa: PLC0415  (imported only by tasks that use it)
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    library = import_module("skactiveml.classifier")

    def model() -> Any:
        if class_name in CLASSIFIERS:
            return getattr(library, CLASSIFIERS[class_name])(classes=classes, random_state=seed)
        return library.SklearnClassifier(LogisticRegression(), classes=classes, random_state=seed)

    models: dict[str, Any] = {name: model() for name in ("clf", "estimator", "discriminator") if name in wanted}
    if "ensemble" in wanted:
        forest = RandomForestClassifier(TREES, random_state=seed)
        models["ensemble"] = library.SklearnClassifier(forest, classes=classes, random_state=seed)
    return models


def _moved_apart(rows: Floats, seed: int) -> Floats:
    """Return rows, (n, n_features), each moved at random by about ``JITTER`` standard deviations of each feature."""
    scale = rows.std(axis=0)
    constant = scale <= 1e-9 * np.abs(rows).max(axis=0)
    moved: Floats = rows + np.random.default_rng(seed).normal(size=rows.shape) * np.where(constant, 1, scale) * JITTER
    return moved


def query(
    kind: type,
    X: Floats,
    X_acquired: Floats,
    y_acquired: Labels,
    *,
    classes: int,
    count: int,
    seed: int,
) -> tuple[Indices, Floats]:
    """Choose a batch with a strategy, which trains its own small model on the training set.

    A class that fails is asked again with all rows moved apart at random by about ``JITTER`` standard deviations.
    TypiClust and FourDs need that where few rows are distinct.

    Args:
        kind: Strategy class, as :func:`find` returns it.
        X: Features of the samples to choose from, (n, n_features).
        X_acquired: Features of the training set, (m, n_features).
        y_acquired: Labels of the training set, (m,), in 0 to classes - 1.
        classes: Number of classes.
        count: Number of samples to choose, in 1 to n.
        seed: Seed of all random draws of the strategy, in 0 to 2^31 - 1.

    Returns:
        Indices into ``X``, distinct, in the order of choice; and the utilities of ``X`` before the first choice, (n,),
        -inf where the strategy gave none. There may be fewer than ``count`` indices: BatchBALD can choose one twice.

    Raises:
        InvalidInput: The strategy cannot handle the data, for example three classes where it supports only two.
    """
    labels = np.arange(classes)
    known = len(X_acquired)
    options = {
        "random_state": seed,
        "classes": labels.tolist(),
        "n_classes": classes,
        "cluster_algo_dict": {"random_state": seed},  # Clue and DropQuery do not pass on their random state
    }
    with _isolated_globals(seed):
        parameters = _parameters(kind.__init__)  # type: ignore[misc]
        strategy: Any = kind(**{name: value for name, value in options.items() if name in parameters})
        models = _models(kind.__name__, _parameters(strategy.query), labels, seed)
        rows = np.concatenate([X_acquired, X])
        given = np.concatenate([y_acquired.astype(np.float64), np.full(len(X), np.nan)])  # NaN: unlabelled

        def ask(rows: Floats) -> Any:
            candidates = np.arange(known, known + len(X))
            return strategy.query(rows, given, candidates=candidates, batch_size=count, return_utilities=True, **models)

        try:
            chosen, utilities = ask(rows)
        except Exception as error:  # of any type: TypiClust fails with a NameError
            try:
                chosen, utilities = ask(_moved_apart(rows, seed))
            except Exception:
                reason = textwrap.shorten(str(error), 200)
                raise InvalidInput(f"{kind.__name__} of scikit-activeml cannot be used here: {reason}") from error
    first = np.asarray(utilities, dtype=np.float64)[0, known:]
    places = np.asarray(list(dict.fromkeys(chosen)), dtype=np.intp) - known
    return places, np.where(np.isnan(first), -np.inf, first)
