"""The second wall between tenants: on PostgreSQL row-level security gives a transaction only the rows of the tenant it names.

It stands behind the first one, the tenant in every statement: where that is forgotten, nothing of others is read or written.
It keeps out mistakes, not whoever can send statements of their own: those can name another tenant. SQLite has no such wall.
"""

import logging
from typing import Final

import sqlalchemy as sa

from features.store.tables import METADATA

EVERY: Final = "*"
"""Named instead of a tenant by work on all of them; no tenant is called so."""
_OPTION: Final = "nextwise_tenant"
# Until the end of the transaction: a connection that goes back to a pool, ours or PgBouncer's, takes nothing along.
_ENTER: Final = "SELECT set_config('nextwise.tenant', %s, true)"
_NAMED: Final = "(SELECT current_setting('nextwise.tenant', true))"  # a sub-select is looked up once, not for each row
_LOG = logging.getLogger("nextwise.store")
_WARNED: Final[set[str]] = set()


def within(engine: sa.Engine, tenant: str) -> sa.Engine:
    """The same engine, whose transactions see the rows of one tenant only, and may write no others."""
    return engine.execution_options(**{_OPTION: tenant}) if engine.dialect.name == "postgresql" else engine


def across(engine: sa.Engine) -> sa.Engine:
    """The same engine for work that is across tenants by nature; whoever needs it stands in a test's list."""
    return within(engine, EVERY)


def enter(connection: sa.Connection) -> None:
    """At the beginning of each transaction on PostgreSQL. Of an engine that names no tenant it sees no rows."""
    tenant = connection.get_execution_options().get(_OPTION)
    if tenant is not None:
        connection.exec_driver_sql(_ENTER, (tenant,))


def entered(sql: str) -> str:
    """A statement that names its tenant itself (parameter `tenant`), for one that is a transaction and one way to the server.

    It reads beside the row in which the tenant is named, and can begin only when that is there; OFFSET 0 keeps it so.
    """
    return (
        "SELECT found.* FROM (SELECT set_config('nextwise.tenant', %(tenant)s, true) AS tenant) AS wall "
        f"CROSS JOIN LATERAL (SELECT * FROM ({sql}) AS one WHERE wall.tenant IS NOT NULL OFFSET 0) AS found"
    )


def build(connection: sa.Connection) -> None:
    """Puts the wall up around every table with a tenant. FORCE: it binds their owner too, as whom the service may connect."""
    if connection.dialect.name != "postgresql":
        return
    for table in walled():
        connection.exec_driver_sql(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
        connection.exec_driver_sql(f"CREATE POLICY tenant_wall ON {table} USING (tenant = {_NAMED} OR {_NAMED} = '{EVERY}')")


def walled() -> list[str]:
    """The tables with a tenant, sorted."""
    return sorted(table.name for table in METADATA.tables.values() if "tenant" in table.c)


def warn_without(engine: sa.Engine) -> None:
    """Says once for each database that the wall does not hold: a superuser walks through, and a role with BYPASSRLS."""
    if engine.dialect.name != "postgresql" or str(engine.url) in _WARNED:
        return
    active = "SELECT current_user, every(row_security_active(name)) FROM unnest(%s::text[]) AS name"
    with engine.connect() as connection:
        role, holds = connection.exec_driver_sql(active, (walled(),)).one()
    if not holds:
        _WARNED.add(str(engine.url))
        _LOG.warning(
            "no second wall between tenants: row-level security does not bind the role %r (a superuser, or with BYPASSRLS); "
            "connect as a plain role, see docs/store.md",
            role,
        )
