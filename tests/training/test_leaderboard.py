"""The command on tiny files: the table, results.json, and what it says when the input is wrong."""

import json
from pathlib import Path

import numpy as np
import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from features.interactions import Histories, Interactions
from features.side import SideInformation
from training.leaderboard import Protocol, leaderboard, run, told
from training.models.popularity import Popularity
from training.models.ranker import RankerConfig

app = typer.Typer()
app.command()(leaderboard)


def invoke(data: Path, *more: str, format: str = "sequences") -> Result:
    return CliRunner().invoke(app, ["--format", format, "--data", str(data), *more])


def flat(text: str) -> str:
    """The text without the frames and line breaks that depend on the width of the terminal."""
    return " ".join(text.replace("│", " ").split())


@pytest.fixture
def sequences(tmp_path: Path) -> Path:
    rng = np.random.default_rng(2)
    path = tmp_path / "log.txt"
    path.write_text("".join(f"u{n} {' '.join(f'i{i}' for i in rng.permutation(20)[:6])}\n" for n in range(30)))
    return path


def test_results_hold_a_row_a_model(sequences: Path, tmp_path: Path) -> None:
    out = tmp_path / "results.json"
    found = invoke(sequences, "--models", "popularity, random", "--out", str(out))
    assert found.exit_code == 0, found.output
    rows = json.loads(out.read_text())
    assert [row["model"] for row in rows] == ["popularity", "random"]
    for row in rows:
        assert {"recall_at_10", "ndcg_at_10", "coverage", "fit_seconds", "peak_mb", "score_ms"} <= row.keys()
        assert 0 <= row["ndcg_at_10_low"] <= row["ndcg_at_10"] <= row["ndcg_at_10_high"] <= 1
        assert (row["targets"], row["slices"]["cold_learners"]["targets"]) == (30, 0)
        assert f"{row['ndcg_at_10']:.4f}" in found.stdout
    assert "…" not in found.stdout  # nothing is cut off at 80 columns


def test_what_the_data_cannot_feed_is_skipped_and_said(sequences: Path, tmp_path: Path) -> None:
    out = tmp_path / "results.json"
    found = invoke(sequences, "--models", "popularity,content,recent", "--out", str(out))
    assert found.exit_code == 0, found.output
    assert "content: skipped, no text" in found.stdout
    assert "recent: skipped, no times" in found.stdout
    assert [row["model"] for row in json.loads(out.read_text())] == ["popularity"]


def test_nothing_left_to_compare_is_an_error(sequences: Path) -> None:
    assert invoke(sequences, "--models", "content").exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--models", "popularity,best"], "unknown model 'best'; known: popularity, recent"),
        (["--models", ","], "no model named"),
        (["--protocol", "tomorrow"], "'leave-last-out'"),
        (["--cuts", "3"], "--cuts"),
        (["--out", "/nowhere/results.json"], "/nowhere does not exist"),
    ],
)
def test_wrong_usage_is_exit_2(sequences: Path, arguments: list[str], words: str) -> None:
    found = invoke(sequences, *arguments)
    assert (found.exit_code, words in flat(found.output)) == (2, True), found.output


def test_a_missing_file_is_exit_2(tmp_path: Path) -> None:
    found = invoke(tmp_path / "none.txt")
    assert (found.exit_code, "does not exist" in flat(found.output)) == (2, True)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "log.txt: the file is empty"),
        ("u1 a b c\nu2\n", "log.txt, line 2: learner 'u2' has no items"),
        ("u1 a b c\nu1 b\n", "log.txt, line 2: learner 'u1' stands on line 1 already"),
        ("u1 a b c\n[/bold]\n", "log.txt, line 2: learner '[/bold]' has no items"),
        ("u1 a\nu2 b\n", "no learner has two distinct items"),
        ("u1 a b\nu2 b a\n", "no learner has three distinct items"),
    ],
)
def test_bad_data_is_exit_1_with_the_place(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "log.txt"
    path.write_text(content)
    found = invoke(path, "--models", "popularity")
    assert (found.exit_code, words in flat(found.output)) == (1, True), found.output


def test_a_file_may_be_called_as_it_likes(sequences: Path, tmp_path: Path) -> None:
    attributes = tmp_path / "[red]attributes.json"
    attributes.write_text('{"x": [1]}')
    found = invoke(sequences.rename(tmp_path / "[bold]log.txt"), "--models", "popularity", "--item-attributes", str(attributes))
    assert found.exit_code == 0, found.output
    assert "[bold]log.txt, leave-last-out" in found.stdout
    assert "[red]attributes.json: 1 items are not in the log" in found.stdout


def test_a_file_that_cannot_be_written_is_exit_1_after_the_table(sequences: Path, tmp_path: Path) -> None:
    found = invoke(sequences, "--models", "popularity", "--out", str(tmp_path / ("x" * 300)))  # too long a name
    assert (found.exit_code, "Error: [Errno" in found.output, "popularity" in found.stdout) == (1, True, True)


def test_rolling_origin_without_times_is_exit_1(sequences: Path) -> None:
    found = invoke(sequences, "--protocol", "rolling-origin", "--models", "popularity")
    assert (found.exit_code, "use leave-last-out" in flat(found.output)) == (1, True)


def test_a_folder_without_its_files_is_exit_1(tmp_path: Path) -> None:
    found = invoke(tmp_path, format="mars")
    assert (found.exit_code, "items_en.csv: the file does not exist" in flat(found.output)) == (1, True)


def test_three_learners_give_figures_without_intervals(tmp_path: Path) -> None:
    path, out = tmp_path / "log.txt", tmp_path / "results.json"
    path.write_text("u1 a b c d\nu2 b c d a\nu3 a c b d\n")
    found = invoke(path, "--models", "popularity,linear,als,blend", "--out", str(out))
    assert found.exit_code == 0, found.output
    assert {row["ndcg_at_10_low"] for row in json.loads(out.read_text())} == {None}


def test_the_board_renumbers_before_it_splits_and_texts_follow() -> None:
    """Two seeds are two numberings: other tables, the same figures. Items of one parity share a text direction."""
    rows = [(2 * np.random.default_rng(n).permutation(12)[:8] + n % 2).tolist() for n in range(40)]
    side = SideInformation(24, np.eye(2, dtype=np.float32)[np.arange(24) % 2])
    table = Interactions.of_histories(Histories.of(rows, 24))
    one, two = (run(table, side, Protocol.LEAVE_LAST_OUT, ["content"], seed=seed)[0][0] for seed in (1, 2))
    assert one["split_digest"] != two["split_digest"]
    assert one["recall_at_10"] == two["recall_at_10"] == 1


def test_attributes_of_a_file_reach_the_models_and_what_it_lacks_is_told(sequences: Path, tmp_path: Path) -> None:
    out, attributes = tmp_path / "results.json", tmp_path / "attributes.json"
    attributes.write_text(json.dumps({f"i{n}": [n % 2, "all"] for n in range(1, 25)}))
    found = invoke(sequences, "--models", "content", "--item-attributes", str(attributes), "--out", str(out))
    assert found.exit_code == 0, found.output
    (row,) = json.loads(out.read_text())
    assert row["side"] == ["attributes"]
    assert "share=1.0" in row["settings"][0]
    assert "attributes.json: 5 items are not in the log: left out" in found.stdout
    assert "attributes.json: 1 of 20 items of the log have no attribute" in found.stdout


def test_a_model_that_has_no_score_for_anything_says_so(sequences: Path, tmp_path: Path) -> None:
    attributes = tmp_path / "attributes.json"
    attributes.write_text(json.dumps({f"i{n}": ["all"] for n in range(20)}))  # tells no item from another
    found = invoke(sequences, "--models", "popularity,content", "--item-attributes", str(attributes))
    assert "content: has no score for any item" in found.stdout
    assert "popularity: has no score" not in found.stdout


def test_a_ranker_without_trees_says_so() -> None:
    table = Interactions.of_histories(Histories.of([[n % 5, (n + 1) % 5, (n + 2) % 5] for n in range(9)], 5))
    parts = (Popularity(),)
    note = RankerConfig().over(parts, SideInformation(5)).fit(table, rng=np.random.default_rng(0)).note
    row = {"model": "ranker", "coverage": 0.5, "settings": [f"{note}; over 1 popularity()", "7 trees; over 1 popularity()"]}
    assert told([row]) == [f"ranker: {note} (1 of 2 rounds)"]
    assert told([row | {"settings": row["settings"][1:]}]) == []


def test_broken_attributes_are_exit_1_with_the_place(sequences: Path, tmp_path: Path) -> None:
    attributes = tmp_path / "attributes.json"
    attributes.write_text('{"i1": "red"}')
    found = invoke(sequences, "--item-attributes", str(attributes))
    assert (found.exit_code, "item 'i1': a list of attribute ids is expected" in flat(found.output)) == (1, True)


def test_attributes_beside_a_format_that_has_its_own_are_exit_2(sequences: Path, tmp_path: Path) -> None:
    found = invoke(tmp_path, "--item-attributes", str(sequences), format="mars")
    assert (found.exit_code, "mars has attributes of its own" in flat(found.output)) == (2, True)
