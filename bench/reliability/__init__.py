"""Evidence that the server does not fall over: scripts with their last results, and a page made from those.

The server is started as the tests start it, by tests/serving.py, which this makes importable.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "tests"))
