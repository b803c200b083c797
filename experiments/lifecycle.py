"""An experiment begins, changes its shares, and ends. Each writes the record that the service follows, in one step.

Nothing that was recorded is changed but the end of what ran: an edit is refused, or begins a new phase.
"""

import fcntl
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from experiments.assignment.phases import Phase, Record, RecordError, read_record, record_file, record_files
from experiments.assignment.ranges import Ranges, reallotted
from experiments.design import BUCKETS, Design, design_of, widths


class LifecycleError(ValueError):
    """What was asked cannot be done now; the message says why and what can be."""


class Begun(NamedTuple):
    """`new`: whether anything changed; the same design again changes nothing."""

    record: Record
    new: bool


def start(folder: Path, tenant: str, design: Design, *, at: datetime, new_phase: bool = False) -> Begun:
    """Begin an experiment, or begin it again. `new_phase`: end what runs of it under another design, and go on with this one.

    Units keep their arms as far as the shares allow. Raises LifecycleError, and RecordError for a record that was edited.
    """
    if design.horizon_days is None:
        raise LifecycleError("field horizon_days: an experiment that runs says beforehand how many days; add it")
    with _alone(folder, tenant):
        path = record_file(folder, tenant, design.name)
        before = read_record(path) if path.exists() else None
        running = None if before is None else before.running
        if before is not None and running is not None:
            if running.digest == design.digest:
                return Begun(before, False)
            if not new_phase:
                raise LifecycleError(
                    f"{design.name} runs since {running.started_at:%Y-%m-%d %H:%M} with another design"
                    f" ({running.digest}, this is {design.digest}); what runs is not edited: stop it, or begin a new phase"
                    " with --new-phase, which the report tells apart"
                )
        return Begun(_begin(folder, tenant, design, before, at), True)


def same(folder: Path, tenant: str, design: Design) -> bool:
    """Whether exactly this design runs already."""
    path = record_file(folder, tenant, design.name)
    running = read_record(path).running if path.exists() else None
    return running is not None and running.digest == design.digest


def proposed(folder: Path, tenant: str, design: Design, *, at: datetime) -> Phase:
    """The phase that would begin, beside what runs, without beginning it. Raises as `start`."""
    path = record_file(folder, tenant, design.name)
    return _phase(folder, tenant, design, read_record(path) if path.exists() else None, at)


def stop(folder: Path, tenant: str, name: str, *, at: datetime) -> Record:
    """End what runs: from the next request on nobody is in it. Raises LifecycleError where it does not run."""
    with _alone(folder, tenant):
        record = read_record(record_file(folder, tenant, name))
        _running(record)
        return _write(folder, _ended(record, at))


def reallocate(
    folder: Path,
    tenant: str,
    name: str,
    *,
    at: datetime,
    allocation: Mapping[str, float] | None = None,
    traffic: float | None = None,
) -> Record:
    """Go on with other shares, or more or less traffic, as a new phase. An arm with share 0 is paused.

    Raises LifecycleError where it does not run or has other arms, DesignError for shares that are none.
    """
    with _alone(folder, tenant):
        record = read_record(record_file(folder, tenant, name))
        design = _running(record).design
        strange = set(allocation or design.allocation).symmetric_difference(design.allocation)
        if strange:
            raise LifecycleError(
                f"{', '.join(sorted(strange))}: give a share to each of {', '.join(design.allocation)} and no other"
                " (0 pauses one); for other arms use `start --new-phase`"
            )
        changed = design.model_dump(mode="json", exclude_defaults=True)
        if allocation is not None:
            changed["allocation"] = {arm: allocation[arm] for arm in design.allocation}
        if traffic is not None:
            changed["traffic"] = traffic
        again = design_of(changed, name)
        return record if again.digest == design.digest else _begin(folder, tenant, again, record, at)


def recorded(folder: Path, tenant: str) -> list[Record]:
    """Every experiment of a tenant, by name. Raises RecordError for one that was edited."""
    return [read_record(path) for path in record_files(folder, tenant)]


def readable(folder: Path, tenant: str) -> tuple[list[Record], list[str]]:
    """The experiments of a tenant that can be followed, by name, and what is wrong with the records of the others."""
    records, faults = [], []
    for path in record_files(folder, tenant):
        try:
            records.append(read_record(path))
        except RecordError as error:
            faults.append(str(error))
    return records, faults


def touched(design: Design) -> frozenset[str]:
    """What its arms change: `bundle`, and values of the policy such as `epsilon` or `nudges.floor`."""
    found: set[str] = set()
    for variant in design.variants.values():
        found |= {"bundle"} if variant.bundle is not None else set()
        for name, value in (variant.policy or {}).items():
            found |= {f"{name}.{part}" for part in value} if isinstance(value, dict) else {name}
    return frozenset(found)


def _phase(folder: Path, tenant: str, design: Design, before: Record | None, at: datetime) -> Phase:
    others = [one.running for one in recorded(folder, tenant) if one.name != design.name and one.running is not None]
    _check_beside(design, others)
    last = None if before is None else before.phases[-1]
    return Phase(
        design=design,
        digest=design.digest,
        slots=_slots(design, last, others),
        arms=reallotted({} if last is None else last.arms, widths(design.allocation)),
        started_at=at,
    )


def _begin(folder: Path, tenant: str, design: Design, before: Record | None, at: datetime) -> Record:
    phase = _phase(folder, tenant, design, before, at)
    earlier = () if before is None else (before if before.running is None else _ended(before, at)).phases
    if earlier and earlier[-1].stopped_at is not None and earlier[-1].stopped_at > at:
        raise LifecycleError(
            f"{design.name} stopped at {earlier[-1].stopped_at:%Y-%m-%d %H:%M}, which is later than now; set the clock"
        )
    return _write(folder, Record(name=design.name, tenant=tenant, phases=(*earlier, phase)))


def _slots(design: Design, last: Phase | None, others: list[Phase]) -> Ranges:
    """The place in the layer: what it had before, as far as nobody else has it now."""
    had = last.slots if last is not None and last.design.layer == design.layer else ()
    taken = [one for phase in others if _same_layer(phase.design, design) for one in phase.slots]
    try:
        return reallotted({design.name: had}, {design.name: round(design.traffic * BUCKETS)}, taken=taken)[design.name]
    except ValueError:
        left = (BUCKETS - sum(end - start for start, end in taken)) / BUCKETS
        raise LifecycleError(
            f"field traffic: layer {design.layer!r} has {left:g} of its units left and {design.traffic:g} is wanted;"
            " take less, another layer, or stop one of: "
            + ", ".join(p.design.name for p in others if _same_layer(p.design, design))
        ) from None


def _check_beside(design: Design, others: list[Phase]) -> None:
    """Raises LifecycleError where an experiment that runs would be disturbed."""
    for other in (phase.design for phase in others):
        if _same_layer(other, design):
            if other.unit != design.unit:
                raise LifecycleError(
                    f"field unit: layer {design.layer!r} holds {other.name} by {other.unit}; units of two kinds cannot exclude"
                    " each other: take another layer, or the same unit"
                )
        elif both := sorted(touched(other) & touched(design)):
            raise LifecycleError(
                f"field variants: {other.name} runs and changes {both[0]} as well, so a learner would be given both; put"
                " the two in one layer, or stop one"
            )


def _same_layer(one: Design, other: Design) -> bool:
    return one.layer is not None and one.layer == other.layer


def _running(record: Record) -> Phase:
    if record.running is None:
        stopped = record.phases[-1].stopped_at
        raise LifecycleError(f"{record.name} does not run: it stopped at {stopped:%Y-%m-%d %H:%M}; `start` begins a new phase")
    return record.running


def _ended(record: Record, at: datetime) -> Record:
    last = _running(record)
    end = max(at, last.started_at)  # a clock that went back
    return record.model_copy(update={"phases": (*record.phases[:-1], last.model_copy(update={"stopped_at": end}))})


def _write(folder: Path, record: Record) -> Record:
    """Replace the file in one step: a reader, or a power cut, sees the old record or the new, never a part."""
    path = record_file(folder, record.tenant, record.name)
    handle, written = tempfile.mkstemp(prefix=".record-", dir=path.parent)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(record.model_dump_json(indent=1, exclude_defaults=True) + "\n")
        file.flush()
        os.fsync(file.fileno())
    os.chmod(written, 0o644)
    os.replace(written, path)
    _flush(path.parent)
    return read_record(path)


def _flush(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _alone(folder: Path, tenant: str) -> Iterator[None]:
    """One change of a tenant's experiments at a time: two that start at once must see each other's place in a layer."""
    (folder / tenant).mkdir(parents=True, exist_ok=True)
    with (folder / tenant / ".lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
