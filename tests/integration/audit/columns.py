"""Every column that says something about a log, and the few of which a change is no finding, each with its reason."""

from typing import NamedTuple

from igstats_audit.tables import metadata

ABOUT_LOGS = (
    "heads",
    "log_days",
    "evidence_entries",
    "access_entries",
    "entry_ids",
    "calls",
    "tiles",
    "data_keys",
)
NOT_ABOUT_LOGS = {
    "findings": "what the monitor has found; what it knows of the logs is in files",
    "monitor_looks": "when the monitor has looked; the security audit reads it",
    "security_audits": "reports, which are entries of the evidence log themselves",
    "key_of_day": "which key wraps the next data key; it opens nothing",
}
IGNORED = {("data_keys", "created_at"): "nothing is decided by it"}
# Of a call that was withheld, or whose account was erased, nobody can read the content, before a change or after it.
_READABLE = "EXISTS (SELECT FROM data_keys d WHERE d.key_id = access_entries.key_id)"
_ERASED = "of a call that nobody can read any more nobody can tell"
_DAMAGES = {
    "BYTEA": "set_byte({0}, {at} % length({0}), get_byte({0}, {at} % length({0})) # {mask})",
    "BIGINT": "{0} # {mask}",
    "INTEGER": "{0} # {mask}",
    "SMALLINT": "CAST({0} # {mask} AS smallint)",
    "TEXT": "overlay({0} placing chr(35 + {mask} % 80) from 1 + {at} % greatest(1, length({0})) for 1)",
    "DATE": "{0} + {mask}",
    "DATETIME": "{0} + {mask} * interval '1 second'",
}
_DAMAGES["BLOB"] = _DAMAGES["BYTEA"]


class Less(NamedTuple):
    """Why some changes of a column are no finding, the rows in which all are, and what they do there."""

    reason: str
    where: str = "true"
    damage: str = ""


LESS = {
    ("heads", "epoch"): Less("a higher one has writers read the head again, and no more", damage="{0} - {mask}"),
    ("evidence_entries", "occurred_at"): Less(
        "a leaf commits to the minute; the seconds are in the content, as far as its producer says them",
        damage="{0} + {mask} * interval '1 minute'",
    ),
    ("access_entries", "key_id"): Less(_ERASED, _READABLE),
    ("access_entries", "sealed"): Less(_ERASED, _READABLE),
}


class Column(NamedTuple):
    """A column of a table, the rows in which any change is found, and how a value is changed."""

    table: str
    name: str
    where: str
    damage: str


def _column(table: str, name: str, kind: str) -> Column:
    less = LESS.get((table, name), Less(""))
    where = f"{name} IS NOT NULL AND CAST({name} AS text) NOT IN ('', '\\x') AND {less.where}"
    return Column(table, name, where, less.damage or _DAMAGES[kind])


DRAWN = [
    _column(table, column.name, str(column.type))
    for table in ABOUT_LOGS
    for column in metadata.tables[table].columns
    if (table, column.name) not in IGNORED
]
