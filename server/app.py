"""Door for OpenEnv tools, which start ``server.app:app`` and look for ``main()`` here."""

import sys
from pathlib import Path

if __name__ == "__main__":  # run as a file, it finds the package where the checkout has it
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dataselect_env.server.app import app, main

__all__ = ["app", "main"]

if __name__ == "__main__":
    main()
