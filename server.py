"""Serve the environment on port 7860: ``python server.py``. What ``import server`` finds is the package beside it."""

from dataselect_env.app import main

if __name__ == "__main__":
    main()
