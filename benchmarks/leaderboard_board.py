"""One board: ours and peers on one log under one protocol, measured or taken from what is kept."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from benchmarks.leaderboard_data import Source
from benchmarks.leaderboard_kept import Kept, Said, code_digest, our_code, side_digest
from benchmarks.machine import machine
from benchmarks.peers.export import export, result
from benchmarks.peers.roster import HERE, Peer, PeerError, Say
from features.side import SideInformation
from features.text import TextModelError, encode
from training import lineup
from training.contest import Contest, Result, measure
from training.estimates import Estimate
from training.evaluate import paired_difference
from training.leaderboard import Dataset, Protocol, result_row, split, told
from training.splits import digest, relabel

Row = dict[str, Any]
Found = tuple[Result, Said]
CHAMPIONS = ("ranker", lineup.BLEND)
BASELINES = ("recent", "popularity")


@dataclass(frozen=True)
class Budget:
    """Settings of a peer tried on validation at most, and processor seconds to do so in, over all rounds of a protocol.

    `seconds` None: as the source says.
    """

    settings: int
    seconds: float | None = None

    def of_round(self, source: Source, rounds: int) -> float:
        """Processor seconds of one round."""
        return (source.seconds if self.seconds is None else self.seconds) / rounds


@dataclass(frozen=True)
class Board:
    """Rows as `training.leaderboard` has them, with `peer`, `versions`, `paired` and more; notes on who could not compete."""

    source: Source
    protocol: Protocol
    rows: list[Row]
    notes: list[str]

    @property
    def title(self) -> str:
        return f"{self.source.title}, {self.protocol.value}"


@dataclass(frozen=True, eq=False)
class Hall:
    """Where boards are made: what was kept before is used unless `fresh`."""

    folder: Path
    budget: Budget
    seed: int
    fresh: bool
    console: Console

    def board(self, source: Source, dataset: Dataset, protocol: Protocol, ours: Sequence[str], peers: Sequence[Peer]) -> Board:
        """Every model on the same relabelled split; one that fails or lacks data is a note."""
        table, permutation = relabel(dataset.interactions, rng=np.random.default_rng(self.seed))
        parts = split(table, protocol)
        side = self._side(dataset, ours).take(permutation.items)
        contest = Contest.of(parts, side, seed=self.seed)
        notes = [*dataset.notes, *(f"{name}: {why}" for name in ours if (why := lineup.missing(name, table, side)))]
        able = [name for name in ours if lineup.missing(name, table, side) is None]
        found = [*self._ours(able, source, contest, digest(parts), notes), *self._peers(peers, source, contest, notes)]
        common = {"protocol": protocol.value, "seed": self.seed, "split_digest": digest(parts)}
        rows = [row | common for row in _rows(found, self.seed)]
        return Board(source, protocol, rows, [*notes, *told(rows)])

    def _side(self, dataset: Dataset, ours: Sequence[str]) -> SideInformation:
        if dataset.texts is None or not lineup.asks_for_side(ours):
            return dataset.side
        with self._said("item texts") as say:
            progress = lambda done, total: say(f"{done:,} of {total:,} encoded")  # noqa: E731
            return replace(dataset.side, text=encode(dataset.texts, cache=self.folder / "vectors", progress=progress))

    def _ours(self, names: Sequence[str], source: Source, contest: Contest, split: str, notes: list[str]) -> Iterator[Found]:
        kept, code = Kept(self.folder / "ours"), our_code()
        for name in names:
            known = [side_digest(contest.side)] if lineup.asks_for_side([name]) else []  # two files of attributes, one log
            path = kept.path(name, split, code, str(contest.seed), *known)
            found = None if self.fresh else kept.load(path)
            if found is None:
                with self._said(f"{source.title}: {name}", notes):
                    measured = measure(name, contest)
                    found = measured, {"peer": False, "code": code[:12], "machine": machine()}
                    kept.save(path, *found)
            if found is not None:
                yield found

    def _peers(self, peers: Sequence[Peer], source: Source, contest: Contest, notes: list[str]) -> Iterator[Found]:
        exported = self._export(contest) if peers else ""
        kept = Kept(self.folder / "peers")
        for peer in peers:
            pins, code = peer.pins.read_text("utf-8"), code_digest([peer.script, HERE / "questions.py"])
            for model in peer.models:
                seconds = self.budget.of_round(source, len(contest.rounds))
                path = kept.path(model, exported, pins, code, str(self.budget.settings), str(seconds))
                found = None if self.fresh else kept.load(path)
                if found is None:
                    with self._said(f"{source.title}: {model}", notes) as say:
                        measured, said = self._asked(peer, model, contest, exported, seconds, say)
                        found = (
                            measured,
                            {
                                **said,
                                "peer": True,
                                "budget_seconds": seconds * len(contest.rounds),
                                "code": code[:12],
                                "machine": machine(),
                            },
                        )
                        kept.save(path, *found)
                if found is not None:
                    yield found

    def _asked(self, peer: Peer, model: str, contest: Contest, exported: str, seconds: float, say: Say) -> Found:
        out = self.folder / "answers" / model.lower().replace(" ", "-")
        out.parent.mkdir(exist_ok=True)
        folder = self.folder / "exports" / exported
        peer.ask(model, folder, out, settings=self.budget.settings, seconds=seconds, say=say)
        return result(model, contest.rounds, out)

    def _export(self, contest: Contest) -> str:
        """The contest as files, named by their content."""
        scratch = self.folder / "exports" / "new"
        shutil.rmtree(scratch, ignore_errors=True)
        named = export(contest.rounds, scratch)[:16]
        shutil.rmtree(scratch.with_name(named), ignore_errors=True)
        scratch.rename(scratch.with_name(named))
        return named

    @contextmanager
    def _said(self, what: str, notes: list[str] | None = None) -> Iterator[Say]:
        """A line that says what runs and for how long. With `notes` a failure becomes one of them."""
        columns = SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn()
        with Progress(*columns, console=self.console, transient=True) as bar:
            task = bar.add_task(what)
            try:
                yield lambda words: bar.update(task, description=f"{what}: {words[:90]}")
            except (PeerError, TextModelError, ValueError, MemoryError, OSError) as error:
                if notes is None:
                    raise
                notes.append(f"{what}: failed, {error}")


def _rows(found: Sequence[Found], seed: int) -> list[Row]:
    """With the paired difference of each to the best recorded baseline and to the champion, where these competed."""
    by_name = {one.model: one for one, _ in found}
    champion, baseline = (next((n for n in names if n in by_name), None) for names in (CHAMPIONS, BASELINES))
    against = {role: by_name[name] for role, name in (("champion", champion), ("baseline", baseline)) if name is not None}
    return [_row(one, said, against, seed) for one, said in found]


def _row(one: Result, said: Said, against: Mapping[str, Result], seed: int) -> Row:
    own = {name: said[name] for name in ("peer", "code", "versions", "notes", "budget_seconds", "machine") if name in said}
    tried = [len(round_tries) for round_tries in said.get("tried", ())]
    paired = {role: {"model": other.model} | _paired(one, other, seed) for role, other in against.items() if other is not one}
    return result_row(one, seed) | own | ({"settings_tried": tried} if tried else {}) | {"paired": paired}


def _paired(one: Result, other: Result, seed: int) -> Row:
    """Metric of one minus that of the other, [value, low, high]; None where there is no interval to state."""
    found: Row = {}
    for metric in ("ndcg", "debiased_ndcg", "recall"):
        gap = paired_difference(one.evaluation, other.evaluation, metric, rng=np.random.default_rng(seed))
        found[metric] = [gap.value, gap.low, gap.high] if isinstance(gap, Estimate) else None
    return found
