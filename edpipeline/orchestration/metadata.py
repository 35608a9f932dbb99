"""What the UI shows of a table, and of what became of it in a sync.

From the declaration: grain, columns with their types, descriptions and classes of personal data,
where each column comes from. From a sync: counts and codes. Never a value of a row.

Counts and rates are numbers under names that stay the same, because the UI draws these over time.
Dagster's own interface does not show column lineage: each column's description says it as well.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import dagster as dg

from edpipeline.landing.drop import Delivery
from edpipeline.loading.report import COUNTED, FileReport, SyncReport
from edpipeline.model import Column, Source, Table
from edpipeline.orchestration.checks import landing_key, table_key
from edpipeline.warehouse.lineage import Origins
from edpipeline.warehouse.marts import Mart
from edpipeline.warehouse.schema import columns_of

PERSONAL = "personal_data"
"""Tag of columns and tables that hold personal data; its value is the class."""
DATA_VERSION = "dagster/data_version"
CLASSES = ("direct", "indirect")
"""From the most to the least."""
ANALYTICS = "team:analytics"
"""Who owns the marts, of which none belongs to one source."""
FEW = 4
"""Of more columns than these only the tables are named."""

Metadata = Mapping[str, Any]


def landing_spec(source: Source) -> dg.AssetSpec:
    """The asset of what arrives."""
    return dg.AssetSpec(
        landing_key(source),
        description=(
            f"{source.title}: {_what_came(source)} and never altered after. The same bytes are the"
            f" same drop.\n\n{_layouts(source)}"
        ),
        group_name=source.name,
        owners=[source.owner],
        kinds=_kinds(source),
        tags={PERSONAL: CLASSES[0]},
        skippable=True,
    )


def _what_came(source: Source) -> str:
    names = ", ".join(source.arrives.patterns)
    if source.is_polled:
        return f"what the vendor answered on a day, redacted by allow-list (`{names}`),"
    if source.is_uploaded:
        return f"what a district uploaded on a day, as it came (`{names}`)"
    return f"what a district delivered on a day, as it came (`{names}`), fetched by SFTP"


def _kinds(source: Source) -> set[str]:
    """A node of the graph bears the last part of its key, which a source's main table has too."""
    if source.is_pulled or source.is_polled:
        return {"landing", "api", "json"}
    return {"landing", "csv"} if source.is_uploaded else {"landing", "sftp", "csv"}


def _layouts(source: Source) -> str:
    """Where the layouts are described; of uploads, which there are, assumed ones marked."""
    if source.is_surveyed:
        return (
            "Asked for each student of the roster once a day, within each district's window, as the"
            f" districts file and `sources/{source.name}/api.yaml` describe it: which reports there"
            " are. The reports (PDF, HTML) and the links to them are never kept, and no job"
            " fetches any, because its log would keep them: `edpipeline score-report --district D"
            " --student ID` has a fresh link made for the person who asks."
            " Materialize today's partition to ask now; an earlier one is loaded again from what"
            f" landed. [The vendor's documentation]({source.docs})"
        )
    if source.is_polled:
        return (
            "Asked for each student and test that is open, again and again until it is final, as"
            f" the districts file and `sources/{source.name}/api.yaml` describe it."
            " Materialize today's partition to ask now; an earlier one is loaded again from what"
            f" landed. [The vendor's documentation]({source.docs})"
        )
    if not source.is_uploaded:
        return f"[Layouts]({source.docs})"
    listed = "".join(f"\n- `{edition.name}`: {edition.label}" for edition in source.editions)
    pulled = (
        "Pulled once a day, within each district's window, from the vendor's API as the districts"
        f" file and `sources/{source.name}/api.yaml` describe it. Materialize"
        " today's partition to pull now.\n\n"
        if source.is_pulled
        else ""
    )
    return (
        f"{pulled}Handed over by `edpipeline upload --source {source.name}`, or laid into the"
        " inbox."
        f" Exported from [the vendor's site]({source.docs}) as one of these editions:\n{listed}"
    )


@cache
def table_spec(source: Source, table: Table) -> dg.AssetSpec:
    """The asset of a history table; those that no edition needs stand in a group of their own."""
    needed = {name for edition in source.editions for name in edition.needed}
    headers = {column.name: _headers(column, table, source) for column in table.stored_columns}
    columns = {
        name: (kind, _with_headers(text, headers.get(name, ())))
        for name, (kind, text) in columns_of(table).items()
    }
    file = table.file if source.holds_results else f"`{table.file}`"
    classes = {column.name: column.personal for column in table.stored_columns}
    return dg.AssetSpec(
        table_key(table),
        deps=[landing_key(source)],
        description=(
            f"{_sentence(table.grain)} From {file}, with its history: a version holds from"
            f" `valid_from` until before `valid_to`. `{table.schema}.current_{table.name}` shows"
            " the rows that hold now.\n\nLoaded in one transaction with what else came:"
            f" `{'/'.join(landing_key(source).path)}` shows when that is asked for, and what became"
            " of the whole delivery."
        ),
        metadata={
            "dagster/table_name": table.full_name,
            "dagster/column_schema": column_schema(columns, classes, (table.key,)),
            "dagster/column_lineage": dg.TableColumnLineage(
                {
                    column: [
                        dg.TableColumnDep(landing_key(source), f"{table.file}: {header}")
                        for header in found
                    ]
                    for column, found in headers.items()
                    if found
                }
            ),
        },
        group_name=(
            source.name
            if source.holds_results or table.name in needed
            else f"{source.name}_optional"
        ),
        owners=[source.owner],
        kinds={"table", "json" if source.is_pulled or source.is_polled else "csv"},
        tags=_tags(classes),
        skippable=True,
    )


def _headers(column: Column, table: Table, source: Source) -> tuple[str, ...]:
    """What files call a column, in the newest edition first; empty where no file has it."""
    if column.computed:
        return ()
    fields = [
        field
        for edition in source.editions
        for field in edition.headers.get(table.name, ())
        if field.column == column.name
    ]
    has_layouts = any(edition.headers for edition in source.editions)
    return tuple(dict.fromkeys(f.header for f in fields)) if has_layouts else (column.header,)


def _with_headers(text: str, headers: Sequence[str]) -> str:
    return f"{text} In the file: {', '.join(f'`{name}`' for name in headers)}." if headers else text


def mart_spec(
    mart: Mart, deps: Sequence[dg.AssetDep | dg.AssetKey], origins: Origins
) -> dg.AssetSpec:
    """The asset of a mart; `origins` say what its columns are made of, as far as that is known."""
    return dg.AssetSpec(
        mart_key(mart.full_name),
        deps=deps,
        description="\n\n".join(filter(None, _about(mart))),
        metadata={
            "dagster/table_name": mart.full_name,
            "dagster/column_schema": _mart_schema(mart, {}, origins),
            **_mart_lineage(origins),
        },
        group_name="marts",
        owners=[ANALYTICS],
        kinds={"table", "sql", "parquet"},
        tags=_tags(dict(mart.personal or {})),
        skippable=True,
    )


def _about(mart: Mart) -> tuple[str, ...]:
    """What its file says of it, in paragraphs."""
    return (
        _sentence(mart.grain),
        mart.fresh and f"**Fresh.** {mart.fresh}",
        mart.caveats and f"**Caveats.** {mart.caveats}",
        mart.notes,
    )


def of_mart(rows: int, size: int, place: str) -> dict[str, Any]:
    """What a district's mart holds now, and where it was published (`size` in bytes)."""
    return {"dagster/row_count": rows, "dagster/uri": place, "published bytes": size}


def of_columns(mart: Mart, kinds: Mapping[str, str], origins: Origins) -> dict[str, Any]:
    """The columns of a mart with the types they have in the warehouse."""
    return {"dagster/column_schema": _mart_schema(mart, kinds, origins)}


def _mart_schema(mart: Mart, kinds: Mapping[str, str], origins: Origins) -> dg.TableSchema:
    """The columns of a mart; their types are known once the warehouse has made the table."""
    columns = {
        name: (kinds.get(name, ""), f"{text}{_made_of(origins.get(name, ()))}")
        for name, text in mart.columns.items()
    }
    return column_schema(columns, dict(mart.personal or {}), mart.key)


def _made_of(origins: Sequence[str]) -> str:
    """What a column is made of, in words."""
    if not origins:
        return ""
    if len(origins) <= FEW:
        return f" Made of {', '.join(f'`{origin}`' for origin in origins)}."
    tables = dict.fromkeys(origin.rpartition(".")[0] for origin in origins)
    return f" Made of columns of {', '.join(f'`{table}`' for table in tables)}."


def _mart_lineage(origins: Origins) -> Metadata:
    """The lineage of a mart's columns, of what is an asset: tables of ops are none."""
    deps = {
        column: [
            dg.TableColumnDep(mart_key(table), name)
            for table, _, name in (origin.rpartition(".") for origin in made_of)
            if not table.startswith("ops.")
        ]
        for column, made_of in origins.items()
    }
    known = {column: found for column, found in deps.items() if found}
    return {"dagster/column_lineage": dg.TableColumnLineage(known)} if known else {}


def mart_key(full_name: str) -> dg.AssetKey:
    """The asset of a mart or table, by `schema.table`."""
    return dg.AssetKey(full_name.split("."))


def column_schema(
    columns: Mapping[str, tuple[str, str]], classes: Mapping[str, str], key: Sequence[str]
) -> dg.TableSchema:
    """Columns by name as (SQL type, description), with classes of personal data and the key."""
    found = []
    for name, (kind, description) in columns.items():
        personal = classes.get(name, "none")
        constraints = dg.TableColumnConstraints(nullable=name not in ("district_id", *key))
        tags = {PERSONAL: personal} if personal != "none" else {}
        found.append(dg.TableColumn(name, kind, description, constraints, tags))
    return dg.TableSchema(found)


def of_landing(delivery: Delivery, source: Source, place: str, news: str) -> Metadata:
    """What landed. `place` is where, without secrets; `news` says whether it came just now."""
    drop = delivery.drop
    return {
        "drop_id": drop.drop_id,
        "news": news,
        "delivery day": delivery.day.isoformat(),
        "received at": dg.MetadataValue.timestamp(delivery.received_at),
        "origin": delivery.origin,
        "files": len(drop.files),
        "bytes": sum(file.size for file in drop.files),
        "report command": _command(drop.drop_id),
        **{f"chosen {name}": value for name, value in sorted(delivery.choices.items())},
        "dagster/uri": f"{place}/{source.name}/{drop.district_id}/drops/{drop.drop_id}",
    }


def of_report(report: SyncReport) -> Metadata:
    """What became of a delivery: of all its files together, and file by file."""
    return {
        **_counted(report.files),
        **_of_sync(report),
        "report": dg.MetadataValue.md(report.markdown()),
    }


def of_table(file: FileReport, report: SyncReport, rows_now: int | None, place: str) -> Metadata:
    """What a sync made of one file and its table. `rows_now` are the district's current rows."""
    own = replace(report, files=(file,))
    rows = {} if rows_now is None else {"dagster/row_count": rows_now}
    return {
        **rows,
        **_counted(own.files),
        **_of_sync(report),
        "warehouse": place,
        "report": dg.MetadataValue.md(own.markdown()),
    }


def _counted(files: Sequence[FileReport]) -> Metadata:
    """Rows of files together, and the rejected ones by code."""
    counts = {name: sum(getattr(file, name) for file in files) for name in COUNTED}
    codes: Counter[str] = Counter()
    for file in files:
        codes.update(file.rejected_by_code)
    return counts | {f"rejected {code}": count for code, count in sorted(codes.items())}


def _of_sync(report: SyncReport) -> Metadata:
    """What is the same of every file: the share of ids (0 to 1) that students of the roster have,
    where there are any, how it ended, and the command that shows every row."""
    chosen = next((rate for rate in report.match_rates if rate.is_chosen and rate.values), None)
    rate = {"match rate": dg.MetadataValue.float(chosen.share)} if chosen else {}
    return {
        **rate,
        "status": report.status,
        "edition": report.edition,
        "drop_id": report.drop_id,
        "report command": _command(report.drop_id or report.sync_id),
    }


def _command(drop_id: str) -> dg.MetadataValue:
    """Says in a terminal what became of every row, and what the district should fix."""
    return dg.MetadataValue.md(f"`edpipeline report {drop_id}`")


def _tags(classes: Mapping[str, str]) -> dict[str, str]:
    held = [name for name in CLASSES if name in classes.values()]
    return {PERSONAL: held[0]} if held else {}


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "."
