"""What is written of the declaration for other programs and for people: SQL views, dbt sources, the reference page."""

import json
from collections.abc import Iterator
from typing import Final

from features.star.schema import INSTANT, PRIVACY, TABLES, VERSION, Column, Table

SOURCE: Final = "nextwise"
"""The name of the dbt source, and of the schema that holds the views."""
_SQL: Final = {
    "string": "VARCHAR",
    INSTANT: "TIMESTAMP",
    "bool": "BOOLEAN",
    "float64": "DOUBLE",
    "int32": "INTEGER",
    "date32": "DATE",
}


def views() -> str:
    """SQL that DuckDB runs: a view for each table, and one of the current rows of each that has versions, with comments."""
    parts = [
        f"-- Star schema of Nextwise, version {VERSION}. Written by `python -m features star`.",
        "-- Run it in this folder, or after SET file_search_path = '/path/of/this/folder'.",
        f"CREATE SCHEMA IF NOT EXISTS {SOURCE};",
    ]
    for table in TABLES:
        parts += _view(table)
    return "\n".join(parts) + "\n"


def _view(table: Table) -> Iterator[str]:
    names = ", ".join(f'"{name}"' for name in table.names)
    yield f"\nCREATE OR REPLACE VIEW {SOURCE}.{table.name} AS\nSELECT {names}\nFROM read_parquet('{table.name}/*.parquet');"
    yield f"COMMENT ON VIEW {SOURCE}.{table.name} IS {_quoted(table.words)};"
    for column in table.columns:
        said = f"{column.words} [{column.privacy}]"
        yield f'COMMENT ON COLUMN {SOURCE}.{table.name}."{column.name}" IS {_quoted(said)};'
    if "is_current" in table.names:
        now = f"{SOURCE}.{table.name}_now"
        yield f"CREATE OR REPLACE VIEW {now} AS SELECT * FROM {SOURCE}.{table.name} WHERE is_current;"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def sources() -> str:
    """The star as a source of dbt (1.10.8 or newer), with a test for each promise of the declaration.

    With dbt-duckdb the files are read where they lie, under the folder that the variable NEXTWISE_STAR names; in a warehouse
    the tables are looked for in the schema `nextwise`, however they were loaded.
    """
    parts = [
        "# Written by `python -m features star` from the declaration of the star: change nothing here.",
        "version: 2",
        "sources:",
        f"  - name: {SOURCE}",
        f"    description: {json.dumps(f'Star schema of Nextwise, version {VERSION}.')}",
        "    config:",
        "      meta:",
        f"        schema_version: {VERSION}",
        "        external_location: \"{{ env_var('NEXTWISE_STAR', '.') }}/{name}/*.parquet\"",
        "    tables:",
    ]
    for table in TABLES:
        parts += _source(table)
    return "\n".join(parts) + "\n"


def _source(table: Table) -> Iterator[str]:
    yield f"      - name: {table.name}"
    yield f"        description: {_yaml(table.words)}"
    yield "        columns:"
    for column in table.columns:
        yield f"          - name: {column.name}"
        yield f"            description: {_yaml(column.words)}"
        yield f"            data_type: {_SQL[column.kind]}"
        yield f"            config: {{meta: {{privacy: {column.privacy}}}}}"
        tests = list(_tests(column))
        if tests:
            yield "            data_tests:"
            yield from (f"              - {test}" for test in tests)


def _tests(column: Column) -> Iterator[str]:
    if column.unique:
        yield "unique"
    if not column.null:
        yield "not_null"
    if column.values:
        yield f"accepted_values: {{arguments: {{values: {json.dumps(column.values)}}}}}"
    if column.refers:
        table, field = column.refers.split(".")
        to = json.dumps(f"source('{SOURCE}', '{table}')")
        yield f"relationships: {{arguments: {{to: {to}, field: {field}}}}}"


def _yaml(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def page() -> str:
    """The reference page of the star."""
    parts = [
        "# Star schema",
        "",
        f"Version {VERSION}. Generated from `features/star/schema.py`; [how to get it](../data-out.md).",
        "",
        "| privacy | a column that |",
        "|---|---|",
        *(f"| {tag} | {words} |" for tag, words in PRIVACY.items()),
        "",
    ]
    for table in TABLES:
        parts += [f"## {table.name}", "", table.words, "", *_page(table), ""]
    return "\n".join(parts).rstrip() + "\n"


def _page(table: Table) -> Iterator[str]:
    if table.by:
        yield from (f"A file a UTC month, by `{table.by}`.", "")
    yield from ("| column | type | privacy | what | holds |", "|---|---|---|---|---|")
    for column in table.columns:
        promises = "; ".join(_promises(column))
        yield f"| {column.name} | {_SQL[column.kind].lower()} | {column.privacy} | {column.words} | {promises} |"


def _promises(column: Column) -> Iterator[str]:
    if column.unique:
        yield "unique"
    if not column.null:
        yield "not null"
    if column.values:
        yield "one of " + ", ".join(column.values)
    if column.refers:
        yield f"found in {column.refers}"
