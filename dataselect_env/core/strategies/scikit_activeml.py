"""Query strategies of scikit-activeml, an optional library, by class name.

With version 1.0.1 these classes of ``skactiveml.pool`` work: Badge, BatchBALD, Clue, ContrastiveAL, CoreSet,
CostEmbeddingAL, DiscriminativeAL, DropQuery, EpistemicUncertaintySampling (two classes only), Falcun, FourDs,
GreedyBALD, GreedySamplingX, MaxHerding, ProbCover, ProbabilisticAL, QueryByCommittee, RandomSampling, TypiClust and
UncertaintySampling. Refused are those for regression, those that wrap another strategy, and those of ``TOO_SLOW``.

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
"""So many samples at most are shown to a strategy, unless the batch is larger: some cost the square of it."""
PREFIX: Final = "skactiveml_"
"""Begins the names of these strategies in actions."""
TOO_SLOW: Final = frozenset({"MonteCarloEER", "Quire", "ValueOfInformationEER"})
"""Classes that take seconds for one batch: they train again, or invert a matrix, for every sample."""
CLASSIFIERS: Final = {
    "EpistemicUncertaintySampling": "ParzenWindowClassifier",
    "FourDs": "MixtureModelClassifier",
    "ProbabilisticAL": "ParzenWindowClassifier",
}
"""Classifiers of ``skactiveml.classifier`` for the classes that cannot do with a logistic regression."""
TREES: Final = 10
"""Members of a committee: the trees of a random forest."""

_GIVEN = frozenset({"self", "X", "y", "clf", "estimator", "discriminator", "ensemble", "classes"})
_lock = RLock()


@contextmanager
def _apart(seed: int = 0) -> Iterator[None]:
    """Silence warnings and lend numpy's global stream, seeded; both are global, so for one thread at a time.

    The warnings tell of a classifier that did not converge or of duplicated rows; whoever plays an episode can do
    nothing. A few classes draw from the global stream although they were given a seed: CostEmbeddingAL by its SVR.
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
    """Return the name of a class in actions: QueryByCommittee becomes skactiveml_query_by_committee."""
    return PREFIX + re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", class_name).lower()


def find(class_name: str) -> type:
    """Return the query strategy of this name from ``skactiveml.pool``.

    Raises:
        InvalidInput: The library is not installed, there is no such class, or it needs what no task can give.
    """
    try:
        with _apart():
            pool = import_module("skactiveml.pool")
            base = import_module("skactiveml.base").SingleAnnotatorPoolQueryStrategy
    except ImportError:
        raise InvalidInput("scikit-activeml is not installed: pip install 'dataselect-env[skactiveml]'") from None
    names = [name for name in pool.__all__ if isinstance(getattr(pool, name), type)]
    if class_name not in names or not issubclass(getattr(pool, class_name), base):
        usable = ", ".join(name for name in names if issubclass(getattr(pool, name), base) and not _lacks(pool, name))
        raise InvalidInput(f"scikit-activeml has no such strategy; choose one of {usable}")
    if lacks := _lacks(pool, class_name):
        raise InvalidInput(f"{class_name} of scikit-activeml cannot be used here: {lacks}")
    kind: type = getattr(pool, class_name)
    return kind


def _lacks(pool: Any, class_name: str) -> str:
    """Return why a class cannot be used, "" when it can."""
    if class_name in TOO_SLOW:
        return "it takes seconds for one batch"
    kind = getattr(pool, class_name)
    parameters = [*_parameters(kind.__init__).values(), *_parameters(kind.query).values()]
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return "it wraps another strategy; name that one"
    needed = [parameter.name for parameter in parameters if parameter.default is parameter.empty]
    unmet = [name for name in needed if name not in _GIVEN]
    return f"it needs {', '.join(unmet)}" if unmet else ""


def _parameters(function: Any) -> dict[str, inspect.Parameter]:
    """Return the parameters of a function by name."""
    return dict(inspect.signature(function).parameters)


def title_and_source(kind: type) -> tuple[str, str]:
    """Return what a class is called in full, one sentence, and its first reference, both from its docstring."""
    doc = inspect.getdoc(kind) or ""
    title = doc.split("\n", 1)[0].strip().rstrip(".") or kind.__name__
    reference = re.search(r"^\.\. \[1\] (.+?)(?:\n\s*\n|\n\.\. \[|\Z)", doc, re.MULTILINE | re.DOTALL)
    cited = " ".join(reference[1].split()) if reference else "scikit-activeml"
    return f"{title}, by scikit-activeml on a model of its own.", cited


def _models(class_name: str, wanted: dict[str, inspect.Parameter], classes: Labels, seed: int) -> dict[str, Any]:
    """Return untrained models for those arguments in ``wanted`` that are models."""
    from sklearn.ensemble import RandomForestClassifier  # noqa: PLC0415  (costs nothing until a task asks for it)
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
    """Ask a strategy for a batch; it trains a small model of its own on what was acquired.

    Args:
        kind: As :func:`find` returns it.
        X: Features of the samples to choose from, (n, n_features).
        X_acquired: Features of the training set, (m, n_features).
        y_acquired: Its labels, (m,), in 0..classes-1.
        classes: Number of classes.
        count: How many to choose, 1 to n.
        seed: Of all its random draws, in 0..2^31-1.

    Returns:
        Indices into ``X``, distinct, in the order of choice, and the utilities of ``X`` before the first of them, (n,),
        -inf where the strategy gave none. They may be fewer than ``count``: BatchBALD can choose a sample twice.

    Raises:
        InvalidInput: The strategy does not work with such data, as one for two classes where there are three.
    """
    labels = np.arange(classes)
    known = len(X_acquired)
    options = {
        "random_state": seed,
        "classes": labels.tolist(),
        "n_classes": classes,
        "cluster_algo_dict": {"random_state": seed},  # Clue and DropQuery do not hand on their own
    }
    with _apart(seed):
        made = {name: value for name, value in options.items() if name in _parameters(kind.__init__)}  # type: ignore[misc]
        strategy: Any = kind(**made)
        models = _models(kind.__name__, _parameters(strategy.query), labels, seed)
        try:
            chosen, utilities = strategy.query(
                np.concatenate([X_acquired, X]),
                np.concatenate([y_acquired.astype(np.float64), np.full(len(X), np.nan)]),  # NaN: not labelled
                candidates=np.arange(known, known + len(X)),
                batch_size=count,
                return_utilities=True,
                **models,
            )
        except (AttributeError, NotImplementedError, TypeError, ValueError) as error:
            reason = textwrap.shorten(str(error), 200)
            raise InvalidInput(f"{kind.__name__} of scikit-activeml cannot be used here: {reason}") from error
        except NameError as error:  # a defect of TypiClust, where the training set covers all clusters
            raise InvalidInput(
                f"{kind.__name__} of scikit-activeml cannot be used here: too few rows are distinct"
            ) from error
    first = np.asarray(utilities, dtype=np.float64)[0, known:]
    places = np.asarray(list(dict.fromkeys(chosen)), dtype=np.intp) - known
    return places, np.where(np.isnan(first), -np.inf, first)
