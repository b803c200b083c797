"""What an experiment in the simulated organisation is: its design, and what the treatment truly does to those who get it."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from experiments.design import Design, Peeking, Unit, design_of

Share = Annotated[float, Field(gt=-1, le=3)]


class ScenarioError(ValueError):
    """A scenario that is not there or cannot be read; the message says what to write."""


class Scenario(BaseModel):
    """`policy`: what the service does otherwise in the treatment. The rest no service controls, and a report has to find:
    `comes`: by which share treated learners come more often, or less; `pleases`: what is added to the utility of items that
    they are shown; `fades`: days after which a half of `pleases` is left, 0: it stays; `drift`: by how much the logarithm of
    everybody's visits grows over the days; `spread`: deviation of the logarithm of paces, absent: the organisation's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
    hypothesis: str = "The treatment leads to more completions of what was recommended."
    unit: Unit = "learner"
    peeking: Peeking = "fixed"
    policy: Mapping[str, JsonValue] | None = None
    comes: Share = 0.0
    pleases: Annotated[float, Field(ge=-5, le=5)] = 0.0
    fades: Annotated[float, Field(ge=0)] = 0.0
    drift: Annotated[float, Field(ge=0, le=3)] = 0.0
    spread: Annotated[float, Field(gt=0, le=3)] | None = None

    def design(self, days: int) -> Design:
        """What is registered: completions of what was recommended decide, by difference; dismissals may rise by a tenth."""
        variants = {} if self.policy is None else {"variants": {"treatment": {"policy": dict(self.policy)}}}
        return design_of(
            {
                "name": self.name,
                "hypothesis": self.hypothesis,
                "unit": self.unit,
                "horizon_days": days,
                "peeking": self.peeking,
                "allocation": {"control": 0.5, "treatment": 0.5},
                "primary": {"metric": "completion", "relative": False},
                "guardrails": [{"metric": "dismissals", "relative": False, "margin": 0.1}],
                "goals": [{"metric": "any_completion", "relative": False}, {"metric": "return_7d", "relative": False}],
                "segments": ["org_unit"],
                **variants,
            },
            self.name,
        )


SCENARIOS: Final[Mapping[str, Scenario]] = {
    one.name: one
    for one in (
        Scenario(name="null", hypothesis="Nothing: both arms get the same."),
        Scenario(name="skewed", hypothesis="Nothing, among learners whose paces differ more.", spread=1.4),
        Scenario(name="clustered", hypothesis="Nothing, assigned by manager.", unit="manager"),
        Scenario(name="drifting", hypothesis="It pleases at first.", pleases=1.5, fades=7, drift=1.0),
        Scenario(name="harmful", hypothesis="It is meant well.", comes=-0.3, pleases=-1.5),
        Scenario(name="beneficial", hypothesis="Clearer cards are taken up more.", comes=0.2, pleases=1.5),
        Scenario(name="bolder", hypothesis="A little more chance finds more.", policy={"epsilon": 0.4, "support": 200}),
    )
}


def scenario(name: str) -> Scenario:
    """One of `SCENARIOS`, or of a TOML file. Raises ScenarioError."""
    if name in SCENARIOS:
        return SCENARIOS[name]
    path = Path(name)
    if path.suffix != ".toml":
        raise ScenarioError(f"there is no scenario {name!r}; there are {', '.join(SCENARIOS)}, or name a TOML file")
    try:
        return Scenario.model_validate(tomllib.loads(path.read_text("utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        raise ScenarioError(f"{path}: field {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    except (OSError, ValueError) as error:
        raise ScenarioError(f"{path}: not a readable TOML file ({error})") from None
