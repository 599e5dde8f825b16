"""docs/licences.md lists what requirements.lock pins, and nothing that asks more of a user than to be named."""

import re

from docs import licences

RECIPROCAL = re.compile(r"A?GPL|General Public", re.IGNORECASE)


def test_every_locked_package_is_listed_with_a_permissive_licence() -> None:
    rows = re.findall(r"^\| `(\S+)` \| (\S+) \| (.+) \|$", licences.PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert {name: version for name, version, _ in rows} == licences.locked(), "run python -m docs.licences"
    for name, _, licence in rows:
        assert not RECIPROCAL.search(licence), name
        assert licence not in ("not declared", "not installed here"), name
