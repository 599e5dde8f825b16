"""Run the server on port 7860: ``python server.py``; ``--help`` lists the options.

``import server`` finds the package of that name, not this file.
"""

from dataselect_env.cli import serve as main

if __name__ == "__main__":
    main()
