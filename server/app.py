"""Entry point for OpenEnv tools, which serve ``server.app:app`` and require ``server.app:main``."""

import sys
from pathlib import Path

if __name__ == "__main__":  # run as a script, it finds the package in the checkout
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dataselect_env.server.app import app, main

__all__ = ["app", "main"]

if __name__ == "__main__":
    main()
