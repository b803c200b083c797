"""All that is stored for one tenant, behind one object."""

from features.store.assigned import AssignedRows
from features.store.audit import AuditRows
from features.store.counts import CountRows
from features.store.erasure import ErasureRows
from features.store.export import ExportRows
from features.store.histories import HistoryRows
from features.store.imports import ImportRows
from features.store.nudges import NudgeRows
from features.store.snapshots import SnapshotRows
from features.store.statements import StatementRows


class TenantSession(
    StatementRows,
    HistoryRows,
    CountRows,
    SnapshotRows,
    NudgeRows,
    ImportRows,
    ErasureRows,
    ExportRows,
    AuditRows,
    AssignedRows,
):
    """All reading and writing for one tenant. Holds no connection: create it freely, share it between threads."""
