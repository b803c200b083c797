"""The command of all tables on a log of one's own: what is refused, what is told, what is measured again."""

from pathlib import Path

import numpy as np
import pytest
import typer
from click.testing import Result
from scipy import sparse
from typer.testing import CliRunner

from benchmarks import leaderboard
from benchmarks.leaderboard_kept import side_digest
from features.side import SideInformation

LOG = "u1 a b c d\nu2 b c d a\nu3 a c b d\n"
app = typer.Typer()
app.command()(leaderboard.main)


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaderboard, "KEPT", tmp_path / "kept")
    for name in leaderboard.ALONE:  # the command sets them in its own process
        monkeypatch.setenv(name, "1")


def invoke(log: Path, *more: str) -> Result:
    return CliRunner().invoke(app, ["--sequences", str(log), "--models", "popularity", "--peers", "", *more])


def test_a_log_of_ones_own_may_have_the_name_of_another(tmp_path: Path) -> None:
    log = tmp_path / "mars.txt"
    log.write_text(LOG)
    found = invoke(log)
    assert found.exit_code == 0, found.output
    assert "mars.txt, leave-last-out" in found.stdout


@pytest.mark.parametrize(
    ("content", "attributes", "words"),
    [
        ("", "{}", "log.txt: failed, log.txt: the file is empty"),
        ("u1 a b c\n[/bold]\n", "{}", "line 2: learner '[/bold]' has no items"),
        ("u1 a\n", "{}", "log.txt: failed, no learner has two distinct items"),
        (LOG, '{"a": {}}', "attributes.json: item 'a': a list of attribute ids is expected"),
    ],
)
def test_bad_data_is_exit_1_with_the_place(tmp_path: Path, content: str, attributes: str, words: str) -> None:
    log, file = tmp_path / "log.txt", tmp_path / "attributes.json"
    log.write_text(content)
    file.write_text(attributes)
    found = invoke(log, "--item-attributes", str(file))
    assert (found.exit_code, words in found.output) == (1, True), found.output


def test_attributes_of_no_log_and_nothing_to_measure_are_exit_2(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_text(LOG)
    assert CliRunner().invoke(app, ["--item-attributes", str(log)]).exit_code == 2
    assert invoke(log, "--models", "").exit_code == 2


def test_what_is_known_of_items_is_named_by_its_content() -> None:
    def of(words: list[list[int]], minutes: float = 5) -> str:
        table = sparse.csr_matrix(np.array(words, dtype=np.float32))
        return side_digest(SideInformation(2, attributes=table, fields={"minutes": np.full(2, minutes, np.float32)}))

    first = of([[1, 0], [0, 1]])
    assert of([[1, 0], [0, 1]]) == first
    assert len({first, of([[1, 0], [1, 0]]), of([[1, 0], [0, 1]], 6), side_digest(SideInformation(2))}) == 4
