"""The model card of a bundle: what it learned from, how it was measured, where it is weak, and what it is not for.

Every figure comes from the outcome of the fit; the sentences around them hold for any bundle of this program. It is kept
beside the bundle, not in it: costs differ from run to run, and equal data must give an equal bundle.
"""

from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, metadata
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.config import BLEND, RANKER
from training.estimates import Estimate
from training.evaluate import AUDIENCE, COLD_ITEMS, COLD_LEARNERS, KNOWN_LEARNERS, NEW_LEARNERS, ORGANIC, Evaluation
from training.fit import Outcome, Report
from training.summary import Difference, Row, interval, loop

Card = Mapping[str, Any]
SLICES = (NEW_LEARNERS, COLD_LEARNERS, KNOWN_LEARNERS, COLD_ITEMS, ORGANIC)

INTENDED = (
    "Ranking this organisation's learning items for one learner, by what learners took up next after a history like theirs.",
    "As one input of a decision: eligibility, duties and availability are filters of the service and no part of the score.",
)
OUT_OF_SCOPE = (
    "Judging people: a score says nothing about a learner's ability, performance or potential.",
    "Decisions on hiring, pay, promotion or dismissal.",
    "Another organisation, or items of another catalogue.",
    "Claims that a recommendation caused learning: the figures are agreement with past choices; effects need an experiment.",
)


def card(
    outcome: Outcome,
    tables: Sequence[Sequence[Row]],
    *,
    serves: str,
    bundle: str,
    costs: Mapping[str, float],
    chosen: Mapping[str, Any],
) -> Card:
    """The card of the bundle that `serves` a row of the reports (blend, ranker or a baseline's name), ready for JSON.

    tables: rows of each report as `summary.rows` gives them. costs: figures of this run. chosen: what validation chose.
    """
    return {
        "tenant": outcome.table.tenant,
        "bundle": bundle,
        "model": serves,
        "intended_use": list(INTENDED),
        "out_of_scope": list(OUT_OF_SCOPE),
        "data": _data(outcome),
        "protocols": [_protocol(outcome, *pair, serves) for pair in zip(outcome.reports, tables, strict=True)],
        "limits": _limits(outcome, serves),
        "settings": {"seed": outcome.config.seed, "chosen": dict(chosen)},
        "costs": {name: round(value, 3) for name, value in costs.items()},
        "ranker": {"note": outcome.note, "gains": gains(outcome)} if serves == outcome.serves and outcome.note else None,
        "text_model": _text_model(outcome, serves),
    }


def gains(outcome: Outcome) -> dict[str, float]:
    """By feature, the share of the gain of all splits of the trees that ship, largest first; empty without trees."""
    ranker = outcome.ranker
    if ranker is None or ranker.trees is None:
        return {}
    shares = zip(ranker.features, ranker.trees.importance.tolist(), strict=True)
    return dict(sorted(((name, share) for name, share in shares if share > 0), key=lambda pair: (-pair[1], pair[0])))


def _data(outcome: Outcome) -> dict[str, Any]:
    table, data = outcome.table.interactions, outcome.config.data
    dated = table.at[~np.isnat(table.at)]
    led = int(np.count_nonzero(table.recommended))
    return {
        "learners": table.shape[0],
        "items": table.shape[1],
        "interactions": len(table.items),
        "recommended": led,
        "organic_share": 1 - led / max(len(table.items), 1),
        "learned_from": data.use,
        "first": _day(dated.min()) if len(dated) else None,
        "last": _day(dated.max()) if len(dated) else None,
        "known_until": None if np.isnat(table.until) else _day(table.until),
        "retrain_by": None if outcome.retrain_by is None else outcome.retrain_by.isoformat(),
        "digest": table.digest(),
    }


def _protocol(outcome: Outcome, report: Report, table: Sequence[Row], serves: str) -> dict[str, Any]:
    measured, pooled = outcome.config.evaluation, report.pooled()
    found, own = pooled[serves], next(row for row in table if row.model == serves)
    draws = {"resamples": measured.bootstrap, "seed": measured.seed}
    fed = loop(report, **draws)
    return {
        "protocol": report.protocol,
        "split_digest": report.digest,
        "cuts": [str(cut) for cut in report.cuts],
        "k": found.k,
        "targets": len(found),
        "metrics": {name: _figure(*values) for name, values in own.metrics.items()} | {"coverage": own.coverage},
        "others": {row.model: _figure(*row.metrics["ndcg"]) for row in table if row.model != serves},
        "slices": {name: _slice(found.within(name), **draws) for name in SLICES},
        "audiences": {
            name: _slice(found.within(key), **draws) for key, name in _audiences(outcome, found) if found.slices[key].any()
        },
        "loop": None
        if fed is None
        else {"model": fed.model, "all targets": _difference(fed.every), "organic targets": _difference(fed.organic)},
    }


def _audiences(outcome: Outcome, found: Evaluation) -> Iterator[tuple[str, str]]:
    """(slice, the audience's name) in the order of names, learners of none last."""
    names = [(f"{AUDIENCE}{index}", name) for index, name in enumerate(outcome.table.audiences)]
    return (pair for pair in [*names, (f"{AUDIENCE}-1", "none")] if pair[0] in found.slices)


def _slice(found: Evaluation, *, resamples: int, seed: int) -> dict[str, Any]:
    who = len(np.unique(found.learner))
    ndcg = _figure(*interval(found, "ndcg", resamples=resamples, seed=seed)) if len(found) else None
    return {"targets": len(found), "learners": who, "ndcg": ndcg}


def _limits(outcome: Outcome, serves: str) -> list[str]:
    table = outcome.table.interactions
    found = [
        f"{_count(table.item_counts() == 0)} of {table.shape[1]:,} items were never taken up, "
        f"{_count(table.item_counts() < 5)} by fewer than 5 learners: what is said of these rests on little.",
        f"{_count(table.lengths < 3)} of {table.shape[0]:,} learners took up fewer than 3 items.",
        "A learner's audience is the present one at every cut; the catalogue is today's.",
        "Held-out items are what learners chose among what they saw: an item nobody was offered cannot be a hit.",
    ]
    if table.recommended.any():
        found.append("Recommended take-ups favour what recommended them, organic ones disfavour it: the truth lies between.")
    if serves != outcome.serves:
        found.append("A baseline: it knows no learner's history.")
    elif serves == BLEND and outcome.note:
        found.append(f"The recipe has a ranker that was left out: {outcome.note}.")
    return found


def _text_model(outcome: Outcome, serves: str) -> dict[str, str] | None:
    encoder = outcome.config.encoder
    reads = serves == outcome.serves and (serves == RANKER or "content" in outcome.weights)
    if encoder is None or not reads:
        return None
    try:
        licence = metadata(encoder).json.get("license")
    except (PackageNotFoundError, ValueError):
        licence = None
    return {
        "name": encoder,
        "licence": str(licence) if licence else "not stated by an installed package: ask its publisher",
    }


def description(found: Card) -> str:
    """A paragraph for a list of versions; the whole card is an artifact of the run and of the model."""
    first = found["protocols"][0]
    metrics, data = first["metrics"], found["data"]
    return (
        f"**{found['model']}** of {found['tenant']}, bundle `{found['bundle']}`. NDCG@{first['k']} {_words(metrics['ndcg'])}, "
        f"recall@{first['k']} {_words(metrics['recall'])} ({first['protocol']}, {first['targets']:,} held-out items). "
        f"Learned from {data['learned_from']} of {data['interactions']:,} interactions of {data['learners']:,} learners with "
        f"{data['items']:,} items, {data['organic_share']:.1%} organic. The whole card: `model_card.md` of the run."
    )


def markdown(found: Card) -> str:
    """The card as a page."""
    parts = [
        f"# Model card: {found['model']} of {found['tenant']}\n\nBundle `{found['bundle']}`.",
        _bullets("Intended use", found["intended_use"]),
        _bullets("Out of scope", found["out_of_scope"]),
        _bullets("Data", [f"{name.replace('_', ' ')}: {_plain(value)}" for name, value in found["data"].items()]),
        *(_protocol_page(one, found["model"]) for one in found["protocols"]),
        _bullets("Limits", found["limits"]),
        _bullets("Settings", list(_settings(found["settings"]))),
        _bullets("Costs of this run", [f"{name}: {value:,.3g}" for name, value in found["costs"].items()]),
    ]
    if found["ranker"]:
        parts.append(_ranker(found["ranker"]))
    if found["text_model"]:
        parts.append(_bullets("Text model", [f"{name}: {value}" for name, value in found["text_model"].items()]))
    return "\n\n".join(parts) + "\n"


def _ranker(found: Mapping[str, Any], most: int = 20) -> str:
    """The ranker's word, and the features of its trees with the largest gain."""
    rows = [[name, f"{share:.1%}"] for name, share in list(found["gains"].items())[:most]]
    table = f"\n\n{_rows(['feature', 'share of gain'], rows)}" if rows else ""
    return f"## Ranker\n\n{found['note']}{table}"


def _protocol_page(one: Mapping[str, Any], model: str) -> str:
    k, cuts = one["k"], f", {len(one['cuts'])} cuts in time" if one["cuts"] else ""
    figures = [f"{name.replace('_', ' ')}@{k}: {_words(value)}" for name, value in one["metrics"].items()]
    others = [[model, _words(one["metrics"]["ndcg"])], *([name, _words(value)] for name, value in one["others"].items())]
    who = [[name, f"{v['targets']:,}", f"{v['learners']:,}", _words(v["ndcg"])] for name, v in one["slices"].items()]
    fair = [[name, f"{v['targets']:,}", f"{v['learners']:,}", _words(v["ndcg"])] for name, v in one["audiences"].items()]
    head = ["targets", "learners", f"NDCG@{k} (95 %)"]
    parts = [
        f"## {one['protocol'].capitalize()}\n\n{one['targets']:,} held-out items{cuts}; split `{one['split_digest'][:16]}`. "
        "Intervals: 95 %, bootstrap by learner.\n\n" + "\n".join(f"- {line}" for line in figures),
        _rows(["model", f"NDCG@{k} (95 %)"], others),
        "### Slices\n\n" + _rows(["slice", *head], who),
        "### Fairness by audience\n\n"
        + (_rows(["audience", *head], fair) + "\n\n" + _spread(one) if fair else "No audiences."),
    ]
    if one["loop"]:
        lines = [f"- {name}: {value}" for name, value in one["loop"].items() if name != "model"]
        what = f"NDCG of the {one['loop']['model']} learned from all take-ups minus of that learned from organic ones:"
        parts.append("### Feedback loop\n\n" + what + "\n\n" + "\n".join(lines))
    return "\n\n".join(parts)


def _spread(one: Mapping[str, Any]) -> str:
    stated = {name: v["ndcg"] for name, v in one["audiences"].items() if v["ndcg"] and v["ndcg"]["low"] is not None}
    if len(stated) < 2:
        return "Too few audiences with an interval to compare."
    low, high = (pick(stated, key=lambda name: stated[name]["value"]) for pick in (min, max))
    apart = stated[low]["high"] < stated[high]["low"]
    verdict = "their intervals do not overlap" if apart else "their intervals overlap"
    return f"Least is {low}, most {high}: {verdict}. What differs may be the audience's catalogue as well as the model."


def _settings(found: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in found.items():
        if isinstance(value, Mapping):
            yield from _settings(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}: {value}"


def _figure(value: float, low: float, high: float) -> dict[str, float | None]:
    finite = (None if not np.isfinite(number) else float(number) for number in (value, low, high))
    return dict(zip(("value", "low", "high"), finite, strict=True))


def _difference(found: Difference) -> str:
    return f"{found.value:+.4f} [{found.low:+.4f}, {found.high:+.4f}]" if isinstance(found, Estimate) else found.reason


def _words(figure: Any) -> str:
    if isinstance(figure, float):
        return f"{figure:.3f}"
    if not figure or figure["value"] is None:
        return "-"
    within = "" if figure["low"] is None else f" ({figure['low']:.4f} to {figure['high']:.4f})"
    return f"{figure['value']:.4f}{within}"


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    return f"{value:,}" if isinstance(value, int) else "-" if value is None else str(value)


def _bullets(title: str, lines: Sequence[str]) -> str:
    return f"## {title}\n\n" + "\n".join(f"- {line}" for line in lines)


def _rows(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def _count(mask: NDArray[np.bool_]) -> str:
    return f"{int(np.count_nonzero(mask)):,}"


def _day(moment: np.datetime64) -> str:
    return str(moment.astype("datetime64[D]"))
