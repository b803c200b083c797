"""RecTools' SASRec with softmax loss, and eSASRec: sampled softmax and LiGR layers.

Published settings (Tikhonovich et al., eSASRec, RecSys 2025; Klenitskiy, Vasilev, RecSys 2023): learning rate 1e-3, 256
negatives, length 50, dropout .2, up to 200 epochs with patience. Three things make it several times faster through RecTools'
own options and extension points, with the same layers and loss: padding is masked (`use_key_padding_mask`), so it can be left
out; batches hold sequences of similar length; logits are computed only where there is a target.
"""

import time
import warnings
from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from pytorch_lightning import Callback, Trainer, seed_everything
from questions import Fit, Floats, Histories, Questions, Settings, compete, validated
from rectools.dataset import Dataset
from rectools.models import SASRecModel
from rectools.models.nn.transformers.data_preparator import SequenceDataset
from rectools.models.nn.transformers.lightning import TransformerLightningModule
from rectools.models.nn.transformers.ligr import LiGRLayers
from rectools.models.nn.transformers.sasrec import SASRecDataPreparator, SASRecTransformerLayers
from torch.utils.data import DataLoader

warnings.filterwarnings("ignore")
torch.set_num_threads(1)

LENGTH, EPOCHS, PATIENCE, SAMPLE = 50, 200, 10, 4_000
PUBLISHED = {"n_factors": 64, "n_blocks": 1, "n_heads": 1, "dropout_rate": 0.2}
SETTINGS = [
    PUBLISHED,
    {**PUBLISHED, "dropout_rate": 0.5},
    {**PUBLISHED, "n_blocks": 2},
    {**PUBLISHED, "n_factors": 128, "dropout_rate": 0.5},
    {**PUBLISHED, "n_factors": 128, "n_blocks": 2, "n_heads": 2},
    {**PUBLISHED, "n_blocks": 2, "n_heads": 2, "dropout_rate": 0.5},
]


class ByLength:
    """Batches of rows of similar length, drawn anew in each epoch: pools of 50 batches at random, sorted within a pool."""

    def __init__(self, lengths: NDArray[np.int64], size: int) -> None:
        self.lengths, self.size, self.rng = lengths, size, np.random.default_rng(0)

    def __len__(self) -> int:
        return -(-len(self.lengths) // self.size)

    def __iter__(self) -> Iterator[list[int]]:
        order = self.rng.permutation(len(self.lengths))
        pools = np.split(order, np.arange(50 * self.size, len(order), 50 * self.size))
        order = np.concatenate([pool[np.argsort(self.lengths[pool], kind="stable")] for pool in pools])
        batches = np.split(order, np.arange(self.size, len(order), self.size))
        for place in self.rng.permutation(len(batches)):
            yield batches[place].tolist()


class Trimmed(SASRecDataPreparator):
    """Batches by length, without the columns that are padding in every row; positions count from the end."""

    def get_dataloader_train(self) -> DataLoader[Any]:
        rows = SequenceDataset.from_interactions(self.train_dataset.interactions.df)
        lengths = np.array([len(session) for session in rows.sessions])
        return DataLoader(rows, collate_fn=self._collate_fn_train, batch_sampler=ByLength(lengths, self.batch_size))

    def _collate_fn_train(self, batch: list[Any]) -> dict[str, torch.Tensor]:
        longest = self.session_max_len
        self.session_max_len = max(len(session) for session, *_ in batch) - 1
        found: dict[str, torch.Tensor] = super()._collate_fn_train(batch)
        self.session_max_len = longest
        return found


class Unpadded(TransformerLightningModule):
    """Logits and loss at the positions that have a target, as one row: [1, n_positions, ...]."""

    def training_step(self, batch: dict[str, torch.Tensor], batch_idx: int) -> torch.Tensor:
        items = self.torch_model.item_model.get_all_embeddings()
        wanted = batch["y"] != 0
        sessions = self.torch_model.encode_sessions(batch, items)[wanted][None]
        y, weight = batch["y"][wanted][None], batch["yw"][wanted][None]
        drawn = batch["negatives"][wanted][None] if "negatives" in batch else None
        among = None if drawn is None else torch.cat([y.unsqueeze(-1), drawn], dim=-1)
        logits = self.torch_model.similarity_module(sessions, items, among) / self.logits_t
        loss: torch.Tensor = self.loss_calculator(logits, y, weight)
        return loss


class EarlyStop(Callback):
    """Full-ranking NDCG@10 on validation after each epoch; the best weights stay; patience or the clock ends the fit."""

    def __init__(self, score: Any, asked: Questions, table: Histories, seconds: float) -> None:
        self.best, self.epoch, self.epochs, self.note = -1.0, 0, 0, ""
        self.score, self.asked, self.table = score, sample(asked), table
        self.start, self.seconds = time.process_time(), seconds

    def __deepcopy__(self, memo: dict[int, Any]) -> "EarlyStop":
        return self  # RecTools copies its trainer before it fits

    def on_train_epoch_end(self, trainer: Trainer, module: TransformerLightningModule) -> None:
        self.epochs += 1
        module.eval()
        ndcg = validated(self.score, self.asked, self.table)
        module.train()
        spent = time.process_time() - self.start
        print(f"epoch {self.epochs}: {ndcg:.4f} after {spent:.0f} s", flush=True)
        if ndcg > self.best:
            self.best, self.epoch, self.weights = ndcg, self.epochs, deepcopy(module.torch_model.state_dict())
        late = spent * (self.epochs + 1) / self.epochs > self.seconds
        rising = self.epochs - self.epoch < PATIENCE
        if late and rising:
            self.note = "stopped at the cap, still rising"
        trainer.should_stop = late or not rising


def fit(own: Settings, table: Histories, asked: Questions | None, seconds: float, **kind: Any) -> Fit:
    seed_everything(0, verbose=False)
    settings = dict(own)
    epochs = settings.pop("epochs", EPOCHS if asked is not None else 20)
    scorer = Scorer()
    watch = EarlyStop(scorer, asked, table, seconds) if asked is not None else None
    model = SASRecModel(
        **settings,
        **kind,
        session_max_len=LENGTH,
        use_key_padding_mask=True,
        lr=1e-3,
        batch_size=128,
        epochs=epochs,
        data_preparator_type=Trimmed,
        lightning_module_type=Unpadded,
        get_trainer_func=lambda: trainer(epochs, [] if watch is None else [watch]),
    )
    scorer.model = model
    model.fit(dataset(table))
    if watch is None:
        return Fit(scorer, {})
    model.torch_model.load_state_dict(watch.weights)
    return Fit(scorer, {"epochs": watch.epoch}, watch.note)


def trainer(epochs: int, callbacks: Sequence[Callback]) -> Trainer:
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "logger": False, "enable_checkpointing": False}
    return Trainer(max_epochs=epochs, min_epochs=1, accelerator="cpu", devices=1, callbacks=list(callbacks), **quiet)


def sample(asked: Questions) -> Questions:
    """At most 4,000 of the questions, the same each time: enough to see an epoch's difference, cheap after every epoch."""
    histories = asked.histories
    if len(histories) <= SAMPLE:
        return asked
    rows = np.sort(np.random.default_rng(0).choice(len(histories), SAMPLE, replace=False))
    lengths = np.diff(histories.indptr)[rows]
    items = np.concatenate([histories[row] for row in rows])
    taken = Histories(np.concatenate([[0], np.cumsum(lengths)]), items, histories.learners[rows], histories.n_items)
    return Questions(taken, asked.targets[rows])


class Scorer:
    """Scores by a model's own session encoder and item embeddings; items it does not know, and rows of them alone: NaN."""

    model: SASRecModel

    def __call__(self, histories: Histories) -> Floats:
        preparator, network = self.model.data_preparator, self.model.torch_model
        network.eval()
        known = np.asarray(preparator.get_known_item_ids(), dtype=np.int64)
        inner = np.zeros(histories.n_items, dtype=np.int64)
        inner[known] = preparator.get_known_items_sorted_internal_ids()
        rows = [own[own != 0][-LENGTH:] for own in (inner[histories[row]] for row in range(len(histories)))]
        longest = max(1, *(len(row) for row in rows))
        x = torch.zeros((len(rows), longest), dtype=torch.long)
        for place, row in enumerate(rows):
            x[place, longest - len(row) :] = torch.from_numpy(row)
        with torch.no_grad():
            items = network.item_model.get_all_embeddings()
            found = (network.encode_sessions({"x": x}, items)[:, -1] @ items.T).numpy()
        scores = np.full((len(rows), histories.n_items), np.nan, dtype=np.float32)
        scores[:, known] = found[:, inner[known]]
        scores[[not len(row) for row in rows]] = np.nan
        return scores


def dataset(table: Histories) -> Dataset:
    """A day per place in the order: RecTools sorts by time, stably."""
    rows = table.rows()
    place = np.arange(len(table.items)) - table.indptr[:-1][rows]
    at = pd.Timestamp("2020-01-01") + pd.to_timedelta(place, unit="D")
    return Dataset.construct(pd.DataFrame({"user_id": rows, "item_id": table.items, "weight": 1.0, "datetime": at}))


def softmax(own: Settings, table: Histories, asked: Questions | None, seconds: float) -> Fit:
    return fit(own, table, asked, seconds, loss="softmax", transformer_layers_type=SASRecTransformerLayers)


def esasrec(own: Settings, table: Histories, asked: Questions | None, seconds: float) -> Fit:
    return fit(own, table, asked, seconds, loss="sampled_softmax", n_negatives=256, transformer_layers_type=LiGRLayers)


def sampled(own: Settings, table: Histories, asked: Questions | None, seconds: float) -> Fit:
    sasrec = SASRecTransformerLayers
    return fit(own, table, asked, seconds, loss="sampled_softmax", n_negatives=256, transformer_layers_type=sasrec)


if __name__ == "__main__":
    contestants = {
        "RecTools SASRec softmax": (softmax, SETTINGS),
        "RecTools SASRec sampled": (sampled, SETTINGS),
        "RecTools eSASRec": (esasrec, SETTINGS),
    }
    compete(["rectools", "torch", "pytorch-lightning", "numpy", "pandas"], contestants)
