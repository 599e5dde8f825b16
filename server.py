"""Serve on port 7860: ``python server.py``; ``--help`` lists the options. As a module, ``server`` is the folder."""

from dataselect_env.cli import serve as main

if __name__ == "__main__":
    main()
