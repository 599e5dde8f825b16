"""``python -m dataselect_env``: the command line; without arguments it serves."""

import sys

from dataselect_env.cli import main

if __name__ == "__main__":
    main(sys.argv[1:] or ["serve"], prog_name="python -m dataselect_env")
