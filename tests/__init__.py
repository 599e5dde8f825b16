"""How the tests are organised.

The folders mirror the package: the tests of ``dataselect_env/core/sgd.py`` are in ``tests/core/test_sgd.py``, beside
``project`` (layout, documents, packaging) and ``bench`` (benchmarks). ``pytest`` alone runs what is quick: units, the
application over ASGI in one process, and property tests with few examples. Whatever starts a server or another
interpreter, plays many episodes, or builds a package is marked ``slow``: ``pytest -m slow`` runs these, and
``pytest -m "slow or hypothesis" --hypothesis-profile=thorough`` the property tests with many examples too.
``tests/helpers`` holds what several files share, ``tests/golden`` recorded episodes. No test depends on the speed of
the machine: each waits for an event, with a deadline that only a broken program reaches.
"""
