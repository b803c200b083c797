"""Before it begins: whether the service would take the policies of a design. The only module here that needs what serves."""

from pathlib import Path

from experiments.design import Design, DesignError
from serving.policy import Policy, changed, load_policy


def check_policies(design: Design) -> None:
    """Raises DesignError naming arm and field where an arm's policy is none."""
    for arm, variant in design.variants.items():
        try:
            changed(Policy(), variant.policy or {})
        except ValueError as error:
            raise DesignError(f"field variants.{arm}.policy: {error}") from error


def holdout_of(policy: Path | None) -> tuple[str, float]:
    """Seed and share of the holdout by a policy file, or by default. Raises ValueError naming file and field."""
    nudges = load_policy(policy).nudges
    return nudges.holdout_seed, nudges.holdout
