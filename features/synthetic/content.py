"""What the organisation can learn: the written topics of `topics.toml` shaped into skills and items."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np

from features.catalogue import Item, ItemType, Role, Skill
from features.synthetic.moments import midnight
from features.synthetic.parameters import Parameters

Difficulty = Literal["beginner", "intermediate", "advanced"]
TOPICS = Path(__file__).with_name("topics.toml")
LEVEL_AFTER = {"beginner": 1.5, "intermediate": 2.75, "advanced": 4.0}
LEVELS: tuple[Difficulty, ...] = ("beginner", "intermediate", "intermediate", "advanced")
_TOPIC_TYPES = (ItemType.COURSE, ItemType.VIDEO, ItemType.ARTICLE)
_TYPE_CHANCES = {"beginner": (0.3, 0.4, 0.3), "intermediate": (0.45, 0.3, 0.25), "advanced": (0.6, 0.2, 0.2)}
_MINUTES = {"course": 70, "video": 9, "article": 7, "practice": 35, "assessment": 15, "project": 300, "peer_session": 60}
_FORM = {
    "course": (
        "Short modules of about {m} minutes in all, each ending with a task from everyday work.",
        "Plan {m} minutes; you can stop after any chapter and pick up where you left.",
        "In {m} minutes you work through explained examples and answer questions as you go.",
    ),
    "video": (
        "A {m}-minute video with one worked example you can pause and copy.",
        "Watch it in {m} minutes; the slides and a one-page summary are attached.",
    ),
    "article": (
        "A {m}-minute read with a checklist to keep.",
        "Takes {m} minutes to read, with further links for those who want more.",
    ),
    "practice": (
        "Allow about {m} minutes; feedback comes at once.",
        "About {m} minutes of exercises, repeatable as often as you like.",
    ),
    "assessment": ("{m} minutes, twenty questions; you see at once which areas to revisit.",),
    "project": ("Plan about {m} minutes spread over a few weeks; a reviewer comments on the result.",),
    "peer_session": ("A live session of {m} minutes in a small group; dates are offered every month.",),
}
_FOR = {
    "beginner": ("No earlier knowledge is needed.", "Made for people who are new to {skill}."),
    "intermediate": ("For people who already know the basics of {skill}.", "Some first experience with {skill} helps."),
    "advanced": ("For experienced colleagues who want to take {skill} further.", "Assumes regular practice in {skill}."),
}


@dataclass(frozen=True)
class Draft:
    """An item before its details are drawn. `after` is the position of the draft it builds on, -1 for none."""

    skill: int
    title: str
    sentence: str
    type: ItemType | None  # None: drawn among course, video and article
    level: Difficulty
    after: int


@dataclass(frozen=True)
class Shelf:
    """The catalogue with its array view: item i teaches `main[i]` (and `second[i]`, -1: none) to the levels in `after`."""

    skills: tuple[Skill, ...]
    families: tuple[str, ...]
    items: tuple[Item, ...]
    family_of_skill: np.ndarray  # int[n_skills]
    main: np.ndarray  # int[n_items]
    second: np.ndarray  # int[n_items]
    after: np.ndarray  # float[n_items, 2]: level after the item in main and second skill
    mandatory: np.ndarray  # int[n_mandatory]: item indices

    @property
    def family(self) -> np.ndarray:
        """int[n_items]: the family of each item's main skill."""
        return np.asarray(self.family_of_skill[self.main])


@cache
def _bank() -> tuple[dict[str, Any], ...]:
    """The written families; each holds its skills."""
    return tuple(tomllib.loads(TOPICS.read_text(encoding="utf-8"))["family"])


def skills() -> tuple[Skill, ...]:
    """All written skills, family by family."""
    return tuple(
        Skill(id=s["id"], name=s["name"], description=s["description"], family=f["name"]) for f in _bank() for s in f["skill"]
    )


def roles(parameters: Parameters) -> tuple[Role, ...]:
    """The roles; ValueError where one expects a skill that nobody wrote."""
    known = {skill.id for skill in skills()}
    for role in parameters.role:
        if unknown := sorted(set(role.expects) - known):
            raise ValueError(f"role {role.id!r} expects unknown skills {unknown}")
    return tuple(Role(id=r.id, name=r.name, expects=r.expects) for r in parameters.role)


def drafts() -> list[Draft]:
    """Every written item: per skill four topics in a chain, one hands-on item and one check."""
    found: list[Draft] = []
    for number, skill in enumerate(s for f in _bank() for s in f["skill"]):
        base = len(found)
        for step, (title, sentence) in enumerate(skill["topics"]):
            found.append(Draft(number, title, sentence, None, LEVELS[step], base + step - 1 if step else -1))
        kind, title, sentence = skill["hands_on"]
        found.append(Draft(number, title, sentence, ItemType(kind), "intermediate", base + 1))
        found.append(_check(number, skill, base + 2))
    return found


def _check(number: int, skill: dict[str, Any], after: int) -> Draft:
    sentence = f"Shows where you stand: {skill['description'][0].lower()}{skill['description'][1:]}"
    return Draft(number, f"Skill check: {skill['name']}", sentence, ItemType.ASSESSMENT, "intermediate", after)


def shelf(parameters: Parameters, rng: np.random.Generator) -> Shelf:
    """The catalogue of the organisation: `parameters.catalogue.items` of the written items, with drawn details."""
    kept = _keep(drafts(), parameters.catalogue.items, rng)
    every = skills()
    families = tuple(f["name"] for f in _bank())
    family_of_skill = np.array([families.index(s.family) for s in every])
    main = np.array([draft.skill for draft in kept])
    second = _second_skill(main, family_of_skill, parameters.catalogue.second_skill_share, rng)
    mandatory = _mandatory(kept, family_of_skill, families, parameters.duties.mandatory_items)
    ids = [f"I{number:04d}" for number in rng.permutation(len(kept)) + 1]
    windows = _windows(parameters, len(kept), mandatory, rng)
    audiences = _audiences(parameters, len(kept), mandatory, rng)
    items = tuple(
        _item(draft, i, ids, every, int(second[i]), windows[i], audiences[i], parameters, rng) for i, draft in enumerate(kept)
    )
    first = np.array([item.skills[every[s].id] for item, s in zip(items, main, strict=True)])
    other = np.where(second < 0, 0.0, np.maximum(first - 1.0, 0.5))
    return Shelf(every, families, items, family_of_skill, main, second, np.stack([first, other], axis=1), mandatory)


def _keep(every: list[Draft], count: int, rng: np.random.Generator) -> list[Draft]:
    """`count` drafts in written order, topics before checks and hands-on items; chains close over what is left out."""
    if count > len(every):
        raise ValueError(f"catalogue.items is {count} but only {len(every)} items are written")
    order = np.lexsort((rng.random(len(every)), np.array([draft.type is not None for draft in every])))
    chosen = sorted(order[:count].tolist())
    place = {old: new for new, old in enumerate(chosen)}
    return [Draft(d.skill, d.title, d.sentence, d.type, d.level, place.get(d.after, -1)) for d in (every[i] for i in chosen)]


def _second_skill(main: np.ndarray, family_of_skill: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """int[n]: for some items a second skill of the same family."""
    found = np.full(len(main), -1)
    for i in np.flatnonzero(rng.random(len(main)) < share):
        near = np.flatnonzero(family_of_skill == family_of_skill[main[i]])
        found[i] = rng.choice(near[near != main[i]])
    return found


def _mandatory(kept: list[Draft], family_of_skill: np.ndarray, families: Sequence[str], count: int) -> np.ndarray:
    """The items everyone inside must take: the opening topics of compliance, then of security and safety."""
    order = [families.index(name) for name in ("Compliance", "Information security", "Logistics and safety")]
    opening = [(order.index(family_of_skill[d.skill]), i) for i, d in enumerate(kept) if _opens(d, family_of_skill, order)]
    return np.array([i for _, i in sorted(opening)[:count]], dtype=int)


def _opens(draft: Draft, family_of_skill: np.ndarray, families: list[int]) -> bool:
    return draft.level == "beginner" and draft.after < 0 and family_of_skill[draft.skill] in families


def _windows(
    parameters: Parameters, n: int, always: np.ndarray, rng: np.random.Generator
) -> list[tuple[datetime, datetime | None]]:
    """(available_from, available_until) per item: most are old, some arrive late, a few retire."""
    shape, period = parameters.catalogue, parameters.period
    begin = -rng.integers(30, 900, n)
    late = rng.random(n) < shape.late_share
    begin[late] = rng.integers(10, period.days - 20, n)[late]
    begin[always] = -365
    ends = np.where((rng.random(n) < shape.retired_share) & ~late, rng.integers(int(0.5 * period.days), period.days, n), -1)
    ends[always] = -1
    zero = midnight(period.start) + timedelta(hours=6)
    return [
        (zero + timedelta(days=int(b)), zero + timedelta(days=int(e)) if e >= 0 else None)
        for b, e in zip(begin, ends, strict=True)
    ]


def _audiences(parameters: Parameters, n: int, always: np.ndarray, rng: np.random.Generator) -> list[tuple[str, ...]]:
    """The audiences of each item, empty for all of them."""
    names = tuple(parameters.people.audiences)
    outside = {unit.audience for unit in parameters.org_unit if unit.audience}
    inside = tuple(name for name in names if name not in outside)
    choices = [inside, inside[:1], *[(*inside, other) for other in names if other in outside]]
    picked = rng.integers(0, len(choices), n)
    restricted = rng.random(n) < parameters.catalogue.restricted_share
    restricted[always] = False
    return [choices[p] if r else () for p, r in zip(picked, restricted, strict=True)]


def _item(
    draft: Draft,
    position: int,
    ids: list[str],
    every: tuple[Skill, ...],
    second: int,
    window: tuple[datetime, datetime | None],
    audiences: tuple[str, ...],
    parameters: Parameters,
    rng: np.random.Generator,
) -> Item:
    kind = draft.type or _TOPIC_TYPES[rng.choice(3, p=_TYPE_CHANCES[draft.level])]
    minutes = max(3, round(_MINUTES[kind] * float(np.exp(rng.normal(0, 0.3)))))
    skill, gained = every[draft.skill], round(LEVEL_AFTER[draft.level] + float(rng.choice([-0.25, 0, 0.25])), 2)
    taught = {skill.id: gained} | ({every[second].id: max(gained - 1.0, 0.5)} if second >= 0 else {})
    expires = skill.family == "Compliance" and draft.level == "beginner"
    return Item(
        id=ids[position],
        title=draft.title,
        description=_description(draft, kind, minutes, skill, rng),
        type=kind,
        duration_s=60.0 * minutes,
        difficulty=draft.level,
        languages=_languages(parameters, rng),
        skills=taught,
        prerequisites=(ids[draft.after],) if draft.after >= 0 else (),
        audiences=audiences,
        valid_for="P1Y" if expires else None,
        recertify_window="P60D" if expires else None,
        available_from=window[0],
        available_until=window[1],
        provider=str(rng.choice(parameters.catalogue.providers)),
        position=position,
        attributes={"family": skill.family},
    )


def _description(draft: Draft, kind: ItemType, minutes: int, skill: Skill, rng: np.random.Generator) -> str:
    form = str(rng.choice(_FORM[kind])).format(m=minutes)
    audience = str(rng.choice(_FOR[draft.level])).format(skill=_in_sentence(skill.name))
    closing = ("",) if kind == ItemType.ASSESSMENT else ("", f" Part of {skill.name}.", f" Counts towards {skill.name}.")
    return f"{draft.sentence} {form} {audience}{rng.choice(closing)}"


def _in_sentence(name: str) -> str:
    """A skill's name within a sentence: `SQL querying` and `Python programming` keep their capital."""
    return name if name[1].isupper() or name.startswith("Python") else name[0].lower() + name[1:]


def _languages(parameters: Parameters, rng: np.random.Generator) -> tuple[str, ...]:
    if rng.random() >= parameters.catalogue.translated_share:
        return ("en",)
    return ("en", *sorted(str(x) for x in rng.choice(["de", "es", "fr"], size=int(rng.integers(1, 4)), replace=False)))
