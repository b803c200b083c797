"""The tables of `docs/calibration.md`, from the results alone."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

Row = Mapping[str, Any]
_BETWEEN = r"(?<=<!-- {0} -->\n).*?(?=<!-- /{0} -->)"


def write_page(result: Row, docs: Path) -> None:
    """Write the figures between the marks of calibration.md."""
    page = docs / "calibration.md"
    text = page.read_text("utf-8")
    tables = {
        "run": _run(result),
        "looks": _looks(result["looks"]),
        "coverage": _coverage(result["coverage"]),
        "adjusting": _adjusting(result),
        "small": _small(result["small"]),
        "verdicts": _verdicts(result["verdicts"]),
        "assignment": _assignment(result),
        "trials": _trials(result["trials"]),
    }
    for mark, table in tables.items():
        text = re.sub(_BETWEEN.format(mark), lambda _, found=table: f"{found}\n", text, flags=re.DOTALL)  # type: ignore[misc]
    page.write_text(text, "utf-8")


def _run(result: Row) -> str:
    on, missed = result["machine"], [one["name"] for one in result["targets"] if not one["met"]]
    said = f"All {len(result['targets'])} targets were met." if not missed else f"Missed: {'; '.join(missed)}."
    return (
        f"{result['runs']:,} experiments a row where nothing else is said, seed {result['seed']}, drawn anew "
        f"{result['fresh_seed']}; "
        f"{result['minutes']:g} minutes on {on['cores']} cores ({on['cpu']}), load {on['load_1_min']} at the start. {said}"
    )


def _table(head: str, rows: Iterable[Sequence[str]]) -> str:
    return "\n".join([head, "|---" * head.count(" | ") + "|---|", *(f"| {' | '.join(row)} |" for row in rows)])


def _looks(rows: Sequence[Row]) -> str:
    head = "| world without an effect | fixed, at its one look | always-valid, at any daily look | fixed, read daily |"
    return _table(
        head,
        ((one["world"], _share(one["fixed"]), _share(one["always_valid"]), _share(one["fixed_at_every_look"])) for one in rows),
    )


def _coverage(rows: Sequence[Row]) -> str:
    head = "| world | scale | seed | plain | with CUPED | always-valid | bias, in its standard errors |"
    return _table(
        head,
        (
            (
                one["world"],
                one["scale"],
                "anew" if one["fresh"] else "recorded",
                _share(one["plain"]),
                _share(one["cuped"]),
                _share(one["always_valid"]),
                f"{one['bias'] / one['bias_error']:+.1f}".replace("-", "−"),
            )
            for one in rows
        ),
    )


def _adjusting(result: Row) -> str:
    theory = {one["world"]: one["theory"] for one in result["adjusting"]}
    rows = [one for one in result["coverage"] if one["scale"] == "absolute"]
    head = "| world | seed | variance left | theory: 1 − ρ² |"
    return _table(
        head,
        (
            (one["world"], "anew" if one["fresh"] else "recorded", f"{one['variance_kept']:.3f}", f"{theory[one['world']]:.3f}")
            for one in rows
        ),
    )


def _small(rows: Sequence[Row]) -> str:
    head = "| world | scale | plain | with CUPED | refused |"
    return _table(
        head,
        ((one["world"], one["scale"], _share(one["plain"]), _share(one["cuped"]), f"{one['refused']:.1%}") for one in rows),
    )


def _verdicts(rows: Sequence[Row]) -> str:
    kinds = ("ship", "do not ship", "keep running", "broken")
    head = f"| world | true lift | experiments | {' | '.join(kinds)} |"
    return _table(
        head,
        (
            (
                one["world"],
                f"{one['truth']:+.1%}".replace("-", "−"),
                f"{one['runs']:,}",
                *(f"{one['kinds'].get(kind, 0):.1%}" for kind in kinds),
            )
            for one in rows
        ),
    )


def _trials(rows: Sequence[Row]) -> str:
    kinds = ("ship", "do not ship", "keep running", "broken")
    head = f"| scenario | experiments | learners | a difference found | {' | '.join(kinds)} |"
    return _table(
        head,
        (
            (
                one["scenario"],
                str(one["runs"]),
                str(one["learners"]),
                f"{one['found']:.0%}",
                *(f"{one['kinds'].get(kind, 0):.0%}" for kind in kinds),
            )
            for one in rows
        ),
    )


def _assignment(result: Row) -> str:
    parallel, ratio = result["parallel"], result["sample_ratio"]
    return (
        f"- Arms of two parallel 50/50 experiments over {parallel['ids']:,} ids correlate by {parallel['first_pair']:.4f}; "
        f"over {parallel['pairs']} pairs the root mean square is {parallel['root_mean_square']:.4f} "
        f"(chance: {parallel['of_chance']:.4f}), the largest {parallel['largest']:.4f}.\n"
        f"- The sample-ratio check sounds in {ratio['false_alarms']:.2%} of {ratio['experiments']:,} healthy experiments of "
        f"{ratio['ids']:,} hashed ids, at a level of 0.10%; {ratio['below_5_percent']:.2%} of its p-values are below 5 %."
    )


def _share(value: float) -> str:
    return f"{value:.2%}"
