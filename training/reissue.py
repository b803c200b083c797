"""The champion's model with today's catalogue and proposals for it: another bundle, and no fit.

A bundle carries the catalogue it obeys. Where the gate keeps the champion, what was retired, renamed or restricted since must
not wait for a better model. Nor must an item that is new, where a part of the model ranks by what is known of an item: the
vocabulary then grows by it (`training.grown`). Other models keep their arrays, and new items come with the next fit.
"""

import tempfile
from pathlib import Path

import numpy as np

from features.proposals import to_json
from features.side import SideInformation
from features.vocabulary import Vocabulary
from training.adopt import register
from training.bundle import Bundle, read_manifest, write_bundle
from training.fit import Table
from training.grown import grown, grown_population, grown_vocabulary, ranks_new_items
from training.parts import Sides
from training.promote import rolled_back
from training.tracking import CHALLENGER, CHAMPION, Registry, Version

SOURCE_RUN = "reissue.run"
"""Tag of a reissued version: the run that fitted and measured its model."""


def reissue(registry: Registry, champion: Version, bundle: Bundle, table: Table, sides: Sides) -> Version | None:
    """Register the champion's model with the table's catalogue and proposals, and move the alias to it; None where it has both.

    `sides`: of the table's items, asked only where the catalogue has new ones. A bundle that a person rolled back is not made
    again.
    """
    same = bundle.manifest.catalogue_digest == table.catalogue.digest
    if same and to_json(bundle.proposals) == to_json(table.proposals):
        return None
    with tempfile.TemporaryDirectory() as scratch:
        folder = renewed(Path(scratch), bundle, table, sides)
        if read_manifest(folder).content in rolled_back(registry):
            return None
        tags = {name: value for name, value in champion.tags.items() if name.startswith(("gate.", "data."))}
        tags |= {SOURCE_RUN: source_run(champion), "reissue.of": champion.bundle, "model": champion.tags.get("model", "")}
        role = champion.tags.get("role", CHALLENGER)
        found = register(registry, folder, bundle, what="reissue", tags=tags, role=role)
    registry.point(CHAMPION, found)
    return found


def source_run(version: Version) -> str:
    """The run that measured a version's model."""
    return version.tags.get(SOURCE_RUN) or version.run_id


def renewed(parent: Path, bundle: Bundle, table: Table, sides: Sides) -> Path:
    """Write the bundle anew under `parent`: the table's catalogue and proposals and, if its model can rank them, new items."""
    manifest, model, vocabulary, population = bundle.manifest, bundle.model, bundle.vocabulary, bundle.population
    more = grown_vocabulary(vocabulary, table.items)
    if len(more) > len(vocabulary) and ranks_new_items(model):
        model = grown(model, _side(bundle, more, table, sides))
        population = grown_population(population, more, table.items, table.interactions.item_counts())
        vocabulary = more
    return write_bundle(
        parent,
        tenant=manifest.tenant,
        model=model,
        vocabulary=vocabulary,
        catalogue=table.catalogue,
        audiences=manifest.audiences,
        roles=manifest.roles,
        org_units=manifest.org_units,
        population=population,
        proposals=table.proposals,
        provenance=manifest.provenance,
        retrain_by=manifest.retrain_by,  # the model is the same, and so is what it learned from
        calibration=bundle.calibration,
    )


def _side(bundle: Bundle, vocabulary: Vocabulary, table: Table, sides: Sides) -> SideInformation:
    """What is known of the vocabulary's items, texts as the bundle's encoder reads them; nothing of one that has left."""
    text = sides(_encoder(bundle)).text
    if text is not None:
        place = table.items.indices(vocabulary.ids)
        text = np.where((place >= 0)[:, None], text[place], np.float32(0))
    return SideInformation.of_catalogue(table.catalogue, vocabulary, text=text, roles=bundle.manifest.roles)


def _encoder(bundle: Bundle) -> str | None:
    """The sentence encoder of the recipe, None where it reads no texts."""
    models = bundle.manifest.provenance.recipe.get("models")
    content = models.get("content") if isinstance(models, dict) else None
    found = content.get("encoder") if isinstance(content, dict) else None
    return found if isinstance(found, str) else None
