"""A ranker's bundle to take the time of: the size and shape of a public log, the parts and the trees of a real ranker.

Linear weights and the sequence model's are drawn, 300 entries a row and 64 dimensions: their fits take many minutes, and what
the numbers are does not change the time. Everything else is fitted. It says nothing of accuracy.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from features.catalogue import Catalogue, Item, Role, Skill
from features.interactions import Histories, Interactions
from features.side import SideInformation, indicators
from features.vocabulary import Vocabulary
from training.bundle import Provenance, write_bundle
from training.leaderboard import Dataset, Format, load
from training.models.base import Fitted
from training.models.blend import FittedBlend
from training.models.content import ContentConfig
from training.models.item_knn import ItemKNN
from training.models.linear import FittedLinear
from training.models.pairs import Pairs
from training.models.popularity import Popularity
from training.models.ranker import FittedRanker
from training.models.ranker_fit import lesson
from training.models.sequence import FittedSequence, SequenceModel
from training.models.trees import Trees, learn
from training.splits import leave_last

TENANT, ROLE = "benchmark", "role"
ITEMS, LEARNERS = 12_101, 22_363
ENTRIES, TREES, LEAVES = 300, 150, 15
_LENGTH, _SHORTEST = 8.9, 5
_TOPIC, _AT_HOME, _WORDS, _SKILLS = 100, 0.7, 1_221, 40
_DAY = 86_400_000_000  # microseconds
_WEIGHTS = {"linear": 1.0, "item_knn": 0.35, "sequence": 0.75, "content": 0.2, "popularity": 0.1}


def dataset(data: Path | None) -> Dataset:
    """Amazon Beauty with attributes where `data` has it, else a log of its shape: as many learners, items and take-ups."""
    if data is None or not (data / "amazon-beauty" / "Beauty.txt").exists():
        return drawn(LEARNERS, ITEMS)
    return load(Format.SEQUENCES, data / "amazon-beauty" / "Beauty.txt", data / "amazon-beauty" / "Beauty_item2attributes.json")


def drawn(learners: int, items: int) -> Dataset:
    """Distinct items a learner, seven in ten of one topic, popular as Zipf's law says; five words an item; one seed."""
    rng = np.random.default_rng(1)
    lengths = _SHORTEST + rng.geometric(1 / (_LENGTH - _SHORTEST + 1), size=learners) - 1
    home = np.repeat(rng.integers(-(-items // _TOPIC), size=learners), lengths)
    topic = np.where(rng.random(len(home)) < _AT_HOME, home, rng.integers(-(-items // _TOPIC), size=len(home)))
    within = (_TOPIC * rng.random(len(home)) ** 2).astype(np.int64)
    item = np.minimum(topic * _TOPIC + within, items - 1).astype(np.int32)
    at = np.sort(rng.integers(0, 900 * _DAY, size=len(home)))
    rows = np.repeat(np.arange(learners), lengths)
    moment = at[rng.permutation(len(at))]
    order = np.lexsort((moment, rows))
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    histories = Histories(indptr, item[order], moment[order].view("datetime64[us]"), np.zeros(learners, np.int32), items)
    words = [tuple(f"word {word}" for word in row) for row in (_WORDS * rng.random((items, 5)) ** 2).astype(int).tolist()]
    return Dataset(Interactions.of_histories(histories, n_audiences=1), SideInformation(items, attributes=indicators(words)))


def write(folder: Path, found: Dataset) -> Path:
    """The folder of the bundle, written under `folder`."""
    table = found.interactions
    vocabulary = Vocabulary([f"item {index}" for index in range(table.n_items)])
    catalogue = _catalogue(vocabulary)
    taught = SideInformation.of_catalogue(catalogue, vocabulary, roles=(ROLE,))
    side = SideInformation(table.n_items, found.side.text, found.side.attributes, taught.fields, taught.levels, taught.expects)
    return write_bundle(
        folder,
        tenant=TENANT,
        model=ranker(table, side),
        vocabulary=vocabulary,
        catalogue=catalogue,
        audiences=("everybody",),
        roles=(ROLE,),
        population={"popularity": table.item_counts().astype(np.float32)},
        provenance=Provenance(recipe={}, data_digest="drawn", split_digest="none"),
    )


def _catalogue(vocabulary: Vocabulary) -> Catalogue:
    rng = np.random.default_rng(2)
    skills = [f"skill {number}" for number in range(_SKILLS)]
    level = rng.integers(1, 5, size=len(vocabulary)).tolist()
    of = rng.integers(_SKILLS, size=len(vocabulary)).tolist()
    each = enumerate(zip(vocabulary.ids, of, level, strict=True))
    items = {
        name: Item(id=name, title=f"Title of {name}", skills={skills[one]: up}, duration_s=900, position=at)
        for at, (name, one, up) in each
    }
    role = Role(id=ROLE, name="Role", expects=dict.fromkeys(skills[:10], 3.0))
    return Catalogue(items, {skill: Skill(id=skill, name=skill) for skill in skills}, {ROLE: role})


def ranker(table: Interactions, side: SideInformation) -> FittedRanker:
    """Trees over what the parts say of the last take-up of 3,000 learners."""
    past, task = leave_last(table, 1)
    blend = FittedBlend(_parts(past, side), _WEIGHTS)
    untaught = FittedRanker(blend, Pairs.of(past, side), None)
    rows = np.sort(np.random.default_rng(3).choice(len(task), size=min(3_000, len(task)), replace=False))
    return FittedRanker(blend, untaught.pairs, _trees(untaught, rows, task))


def _trees(untaught: FittedRanker, rows: NDArray[np.int64], task: object) -> Trees:
    told = lesson(untaught, task.take(rows))  # type: ignore[attr-defined]
    settings = {"trees": TREES, "leaves": LEAVES, "rate": 0.05, "smallest": 20, "seed": 4, "threads": 1}
    return learn(told.features, told.hit, told.sizes, **settings)  # type: ignore[arg-type]


def _parts(table: Interactions, side: SideInformation) -> dict[str, Fitted]:
    rng = np.random.default_rng(5)
    fitted: dict[str, Fitted] = {
        "linear": _linear(table, rng),
        "item_knn": ItemKNN().fit(table, rng=rng),
        "sequence": _sequence(table, rng),
        "content": ContentConfig().bind(side).fit(table, rng=rng),
        "popularity": Popularity().fit(table, rng=rng),
    }
    return fitted


def _linear(table: Interactions, rng: np.random.Generator) -> FittedLinear:
    m = table.n_items
    columns = np.sort((np.arange(m)[:, None] + rng.permutation(m - 1)[: min(ENTRIES, m - 1)] + 1) % m, axis=1)
    data = rng.standard_normal(columns.size, dtype=np.float32) ** 3
    indptr = np.arange(m + 1) * columns.shape[1]
    weights = sparse.csr_matrix((data, columns.ravel().astype(np.int32), indptr.astype(np.int32)), shape=(m, m))
    return FittedLinear(weights, table.item_counts() > 0, 0.7)


def _sequence(table: Interactions, rng: np.random.Generator) -> FittedSequence:
    shapes = SequenceModel().shapes(table.n_items)
    weights = {name: rng.standard_normal(shape, dtype=np.float32) * np.float32(0.1) for name, shape in shapes.items()}
    weights["item"][table.item_counts() == 0] = 0
    return FittedSequence(weights)
