"""The embedded organisation: a fictional organisation with known truth, for the demo, for tests and for comparing models."""

from pathlib import Path

from features.synthetic.organisation import Organisation, generate
from features.synthetic.parameters import load
from features.synthetic.write import write_organisation

__all__ = ["Organisation", "synthesize"]


def synthesize(folder: Path, parameters: Path | None, seed: int) -> Organisation:
    """Generate the organisation of a parameter file (None: the embedded one) and write it to `folder`.

    Raises ValueError that names file and field where the parameters are wrong.
    """
    organisation = generate(load(parameters), seed=seed)
    write_organisation(organisation, folder)
    return organisation
