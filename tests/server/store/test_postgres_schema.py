"""Addresses of databases, and the schema, which servers that start together make once."""

from __future__ import annotations

import asyncio
import logging
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from dataselect_env.core.errors import StoreUnavailable
from dataselect_env.server import start_message
from dataselect_env.server.settings import Settings, SettingsError
from dataselect_env.server.store import masked, open_store
from dataselect_env.server.store.postgres_schema import MIGRATIONS, connection_info, prepare
from tests.helpers.postgres import DATABASE, PASSWORD, Postgres
from tests.helpers.serving import LOOPBACK, free_port
from tests.helpers.store_labs import StoreLab

ENCODED = "p%40ss%2Fw%3Ard"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite:////data/a.db", "sqlite:////data/a.db"),
        ("postgresql://host/db", "postgresql://host/db"),
        ("postgresql://user@host/db", "postgresql://user@host/db"),
        (f"postgresql://user:{ENCODED}@host:5432/db", "postgresql://user:***@host:5432/db"),
        ("postgresql://user:a@b@host/db?sslmode=require", "postgresql://user:***@host/db?sslmode=require"),
        ("postgresql://host/db?user=me&password=secret&port=5", "postgresql://host/db?user=me&password=***&port=5"),
    ],
)
def test_a_url_is_logged_without_its_password(url: str, shown: str, caplog: pytest.LogCaptureFixture) -> None:
    assert masked(url) == shown
    with caplog.at_level(logging.INFO):
        start_message.log_start(Settings(host=LOOPBACK), url)
    assert f"episode store: {shown}" in caplog.text


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:se@cret@host/db",
        "postgresql://user:se/cret@host/db",
        "postgresql://user:se%cret@host/db",
        "postgresql://user:secret@host:port/db",
        "postgresql://user:secret@host/db?no_such_parameter=1",
    ],
)
def test_a_url_that_is_not_valid_is_refused_without_a_part_of_the_password(url: str) -> None:
    with pytest.raises(SettingsError, match=r"^DATASELECT_STORE: should be postgresql://USER:PASSWORD@HOST") as refused:
        open_store(url)
    assert "cret" not in str(refused.value)


def test_what_the_url_sets_stays() -> None:
    info = connection_info("postgresql://host/db?connect_timeout=1&target_session_attrs=read-write")
    assert "connect_timeout=1 " in f"{info} "
    assert "target_session_attrs=read-write" in info
    assert "keepalives_idle=5" in info


@pytest.mark.parametrize("hosts", ["a,b", "a:1,b", "a:1,b:2", "[::1]:5433"])
def test_a_url_may_name_several_hosts(hosts: str) -> None:
    assert "dbname=db" in connection_info(f"postgresql://user:secret@{hosts}/db?target_session_attrs=read-write")


def test_a_server_that_cannot_be_reached_is_named() -> None:
    with pytest.raises(
        SettingsError, match=rf"^DATASELECT_STORE: the database db at {LOOPBACK} cannot be used"
    ) as refused:
        open_store(f"postgresql://user:{ENCODED}@{LOOPBACK}:{free_port()}/db")
    assert "efused" in str(refused.value)
    assert PASSWORD not in str(refused.value)
    assert ENCODED not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.delitem(sys.modules, "dataselect_env.server.store.postgres", raising=False)
    for name in [name for name in sys.modules if name.startswith("dataselect_env.server.store.postgres")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(SettingsError, match=r"pip install 'dataselect-env\[postgres\]'"):
        open_store("postgresql://host/db")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("user", "database", "reason"),
    [
        ("tester:wrong-password", DATABASE, "password authentication failed"),
        (f"nobody:{ENCODED}", DATABASE, "password authentication failed"),
        (f"tester:{ENCODED}", "missing", 'database "missing" does not exist'),
        (f"tester:{ENCODED}", f"{DATABASE}?options=-csearch_path%3Dmissing", "no schema has been selected"),
    ],
)
def test_a_database_that_cannot_be_used_is_refused_in_a_sentence(
    postgres: Postgres, user: str, database: str, reason: str
) -> None:
    with pytest.raises(SettingsError, match=f"cannot be used as a store: .*{reason}") as refused:
        open_store(f"postgresql://{user}@{LOOPBACK}:{postgres.port}/{database}")
    for secret in ("wrong-password", PASSWORD, ENCODED):
        assert secret not in str(refused.value)


@pytest.mark.slow
def test_servers_that_start_together_make_the_tables_once(postgres: Postgres) -> None:
    url = postgres.new_url()
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(prepare, [url] * 16))
    assert StoreLab(url, None).execute("SELECT value FROM marks WHERE name = 'schema'") == [(str(len(MIGRATIONS)),)]


@pytest.mark.slow
def test_a_database_of_a_newer_schema_is_refused_and_left_alone(postgres: Postgres) -> None:
    lab = StoreLab(postgres.new_url(), None)
    prepare(lab.url)
    lab.execute("UPDATE marks SET value = '99' WHERE name = 'schema'")
    with pytest.raises(SettingsError, match="another version of the package"):
        open_store(lab.url)
    assert lab.execute("SELECT value FROM marks WHERE name = 'schema'") == [("99",)]


@pytest.mark.slow
def test_a_store_without_one_of_its_tables_is_not_ready(lab: StoreLab) -> None:
    asyncio.run(lab.store.check())
    lab.execute("DROP TABLE steps")
    with pytest.raises(StoreUnavailable):
        asyncio.run(lab.store.check())
