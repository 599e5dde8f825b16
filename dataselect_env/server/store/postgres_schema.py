"""Schema of the PostgreSQL episode store, its migrations, and the address of a database.

The tables are in the first schema of the connection's ``search_path``, so that several stores may share a database.
"""

from __future__ import annotations

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from dataselect_env.server.settings import SettingsError

TABLES = ("episodes", "steps", "marks", "agents", "attempts", "standings")
CONNECT_TIMEOUT = 5
"""Seconds that a connection may take, unless the URL has ``connect_timeout``."""
PARAMETERS: dict[str, str | int] = {
    "connect_timeout": CONNECT_TIMEOUT,
    "application_name": "dataselect-env",
    "client_encoding": "utf8",
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""Parameters of connections that the URL does not set: a host that has gone is noticed within ten seconds or so."""

MIGRATIONS = (
    """
    CREATE TABLE episodes (
        number           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        episode_id       text COLLATE "C" NOT NULL UNIQUE,
        transport        text NOT NULL,
        task_id          text NOT NULL,
        seed             bigint NOT NULL,
        reward_mode      text NOT NULL,
        dynamics_version integer NOT NULL,
        task_digest      text,
        agent            text,
        key_id           text,
        started_at       text COLLATE "C" NOT NULL,
        grade            text,
        token            bigint NOT NULL
    );
    CREATE INDEX episodes_by_transport ON episodes (transport, number) WHERE key_id IS NULL;
    CREATE INDEX episodes_by_start ON episodes (started_at);
    CREATE INDEX episodes_running ON episodes (started_at) WHERE grade IS NULL;
    CREATE TABLE steps (
        episode     bigint NOT NULL REFERENCES episodes (number) ON DELETE CASCADE,
        step        integer NOT NULL,
        action      text NOT NULL,
        bought      integer NOT NULL,
        mislabelled integer NOT NULL,
        performance double precision NOT NULL,
        reward      double precision NOT NULL,
        token       bigint NOT NULL,
        PRIMARY KEY (episode, step)
    );
    CREATE TABLE agents (
        name       text COLLATE "C" PRIMARY KEY,
        token_hash text,
        added_at   text NOT NULL
    );
    CREATE TABLE attempts (
        board      text COLLATE "C" NOT NULL,
        agent      text COLLATE "C" NOT NULL,
        place      bigint NOT NULL,
        episode_id text COLLATE "C" NOT NULL,
        started_at text COLLATE "C" NOT NULL,
        points     bigint NOT NULL,
        passed     boolean NOT NULL,
        state      text NOT NULL,
        token      bigint NOT NULL,
        PRIMARY KEY (board, agent, place)
    );
    CREATE INDEX attempts_by_episode ON attempts (episode_id);
    CREATE TABLE standings (
        board    text COLLATE "C" NOT NULL,
        agent    text COLLATE "C" NOT NULL,
        episodes bigint NOT NULL,
        points   bigint NOT NULL,
        squares  bigint NOT NULL,
        passed   bigint NOT NULL,
        first_at text COLLATE "C" NOT NULL,
        last_at  text COLLATE "C" NOT NULL,
        PRIMARY KEY (board, agent)
    );
    INSERT INTO marks VALUES ('probes', '0'), ('pass', to_json(now()) #>> '{}');
    """,
)
"""Statements from each version of the schema to the next, the first from an empty schema. They only add: during a
rolling update servers of the previous version go on with the new schema.

A ``token`` is drawn at random for each write, so that a write that is sent twice can be told from another one."""


def connection_info(url: str) -> str:
    """Return libpq's connection string for the URL of a store.

    Raises:
        SettingsError: It is not a URL of a PostgreSQL database. The message has no part of it.
    """
    try:
        parts = conninfo_to_dict(url)
    except psycopg.ProgrammingError:  # its text may have a part of a password
        parts = {}
    ports = filter(None, str(parts.get("port") or "").split(","))  # one for each host; empty where it is the usual one
    names = f"{parts.get('host', '')}{parts.get('dbname', '')}"
    if not parts or "@" in names or not all(port.isdecimal() for port in ports):
        raise SettingsError(
            "DATASELECT_STORE: should be postgresql://USER:PASSWORD@HOST:PORT/DATABASE; in a password write % for"
            " special characters, as in %40 for @"
        )
    return make_conninfo(url, **{name: v for name, v in PARAMETERS.items() if name not in parts})


def prepare(url: str) -> None:
    """Connect to a database, and create or update the tables; servers that start at the same time take turns.

    Raises:
        SettingsError: The database cannot be used as a store.
    """
    info = connection_info(url)
    try:
        with psycopg.connect(info) as connection:
            _migrate(connection)
    except psycopg.Error as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise SettingsError(f"DATASELECT_STORE: {_place(url)} cannot be used as a store: {reason}") from None


def _migrate(connection: psycopg.Connection) -> None:
    """Apply the missing migrations; runs inside a transaction."""
    connection.execute("SELECT pg_advisory_xact_lock(hashtext('dataselect-env'), hashtext(current_schema()))")
    connection.execute("CREATE TABLE IF NOT EXISTS marks (name text PRIMARY KEY, value text NOT NULL)")
    found = connection.execute("SELECT value::integer FROM marks WHERE name = 'schema'").fetchone()
    version = 0 if found is None else int(found[0])
    if version > len(MIGRATIONS):
        raise psycopg.DatabaseError(f"it belongs to another version of the package (schema {version})")
    for migration in MIGRATIONS[version:]:
        connection.execute(migration.encode())
    connection.execute(
        "INSERT INTO marks VALUES ('schema', %(version)s)"
        " ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE marks.value <> excluded.value",
        {"version": str(len(MIGRATIONS))},
    )


def _place(url: str) -> str:
    parts = conninfo_to_dict(url)
    return f"the database {parts.get('dbname') or 'of the user'} at {parts.get('host') or 'this machine'}"
