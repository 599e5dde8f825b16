"""Door for OpenEnv tools, which start ``server.app:app`` and look for ``main()`` here."""

from dataselect_env.app import app, main

__all__ = ["app", "main"]

if __name__ == "__main__":
    main()
