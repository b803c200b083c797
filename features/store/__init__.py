"""The event store: what happened, what the catalogue was, and what was decided, one tenant at a time.

SQLAlchemy Core on SQLite (WAL, every commit synced) or PostgreSQL. Every statement about learners, content and what
happened is made by a `TenantSession`, so a query without a tenant cannot be written; `KeyRows` says whose a key is.
"""

from features.store.catalogue import StoredRow, VersionError, stored_row
from features.store.erasure import Erased
from features.store.grants import GrantRows, UnknownGrantError
from features.store.keys import KeyRows, UnknownKeyError
from features.store.lent import GrantedError
from features.store.merges import Merge, Merged, MergeError, NotMergedError
from features.store.nudges import ChoiceOutcome
from features.store.outcomes import Appended, Counts, Outcome, Progress, PutResult, Version
from features.store.rows import MAX_BATCH
from features.store.session import TenantSession
from features.store.snapshots import MOST_VANISH, VanishError
from features.store.statements import ConflictError, Counted, Received, VoidingError
from features.store.store import EventStore, Place
from features.store.tables import EVENTS, STORED, StoredEvent
from features.store.taken import TakenError
from features.store.versions import SchemaError

__all__ = [
    "EVENTS",
    "MAX_BATCH",
    "MOST_VANISH",
    "STORED",
    "Appended",
    "ChoiceOutcome",
    "ConflictError",
    "Counted",
    "Counts",
    "Erased",
    "EventStore",
    "GrantRows",
    "GrantedError",
    "KeyRows",
    "Merge",
    "MergeError",
    "Merged",
    "NotMergedError",
    "Outcome",
    "Place",
    "Progress",
    "PutResult",
    "Received",
    "SchemaError",
    "StoredEvent",
    "StoredRow",
    "TakenError",
    "TenantSession",
    "UnknownGrantError",
    "UnknownKeyError",
    "VanishError",
    "Version",
    "VersionError",
    "VoidingError",
    "stored_row",
]
