"""Curation of a user's own noisy table: a policy chooses rows, a few trusted rows judge the choice.

from dataselect_env.curation import curate

curation = curate(X, y, X_trusted, y_trusted, budget=500)
curation.to_frame(), curation.model.predict(X_new), print(curation.report)
"""

from dataselect_env.curation.curating import Curation, curate
from dataselect_env.curation.encoder import TableEncoder
from dataselect_env.curation.report import CurationReport

__all__ = ["Curation", "CurationReport", "TableEncoder", "curate"]
