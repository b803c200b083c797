"""A challenger is scored beside what serves, on a share of the requests, and nobody is shown anything of it."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from acme import NOW, TENANT, publish

from features.decisions import Decision
from serving.arms import Treatment
from serving.bundles import Bundles
from serving.metrics import Metrics
from serving.payloads import RecommendationsRequest
from serving.policy import Policy
from serving.prepared import prepare
from serving.runtime import Runtime
from serving.settings import Settings
from serving.shadow import FAILED, OTHER_FIRST, SAME_FIRST, SKIPPED, Shadow, compare, drawn
from training.bundle import CHALLENGER, Pointer, bundle_folder, load_bundle, read_pointer, write_pointer


def challenge(bundles: Path) -> tuple[str, str]:
    """A champion, and another bundle as its challenger."""
    other = publish(bundles, recipe={"n": 2}).name
    champion = publish(bundles, recipe={"n": 3}).name
    write_pointer(bundles, TENANT, Pointer(bundle=other), CHALLENGER)
    return champion, other


def decided(runtime: Runtime, times: int = 1) -> list[Decision]:
    async def run() -> list[Decision]:
        await runtime.start()
        try:
            request = RecommendationsRequest(learner_id="ana")
            return [await runtime.decide(TENANT, request) for _ in range(times)]
        finally:
            await runtime.stop()

    return asyncio.run(run())


def counted(metrics: Metrics, outcome: str) -> float:
    return metrics.shadows.labels(outcome)._value.get()


def with_share(settings: Settings, share: float) -> Runtime:
    return Runtime(settings.model_copy(update={"shadow_share": share}), clock=lambda: NOW)


def test_what_the_challenger_would_show_is_compared_and_the_champion_answers(settings: Settings, bundles: Path) -> None:
    champion, _ = challenge(bundles)
    runtime = with_share(settings, 1.0)
    (decision,) = decided(runtime)
    assert decision.bundle == champion
    assert counted(runtime.metrics, SAME_FIRST) == 1
    assert "nextwise_shadow_overlap_sum 1.0" in runtime.metrics.render().decode()


def test_only_a_share_is_scored_and_without_a_challenger_nothing(settings: Settings, bundles: Path) -> None:
    none = with_share(settings, 1.0)
    decided(none)
    challenge(bundles)
    idle = with_share(settings, 0.0)
    decided(idle)
    for runtime in (none, idle):
        assert sum(counted(runtime.metrics, outcome) for outcome in (SAME_FIRST, OTHER_FIRST, FAILED, SKIPPED)) == 0
    half = [drawn(decision, 0.5) for decision in decided(idle.__class__(idle.settings, clock=lambda: NOW), 60)]
    assert 10 < sum(half) < 50


def test_what_an_arm_of_an_experiment_ranked_says_nothing_of_the_champion(settings: Settings, bundles: Path) -> None:
    _, other = challenge(bundles)
    runtime = with_share(settings, 1.0)
    arm = Treatment(Policy(), prepare(load_bundle(bundle_folder(bundles, TENANT, other))), {"model": "treatment"})
    runtime.arms.treatment = lambda *given: arm  # type: ignore[method-assign]
    (decision,) = decided(runtime)
    assert (decision.bundle, decision.arms) == (other, {"model": "treatment"})
    assert counted(runtime.metrics, SAME_FIRST) + counted(runtime.metrics, OTHER_FIRST) == 0


def test_a_challenger_that_cannot_rank_changes_no_answer(
    settings: Settings, bundles: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _, other = challenge(bundles)
    ranked = Runtime._ranked

    def failing(self: Runtime, treated: Treatment, *given: object) -> Decision:
        if treated.stock.bundle.name == other:
            raise ArithmeticError("no number")
        return ranked(self, treated, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(Runtime, "_ranked", failing)
    runtime = with_share(settings, 1.0)
    (decision,) = decided(runtime)
    assert (decision.fallback, counted(runtime.metrics, FAILED)) == (None, 1)
    assert "no number" in caplog.text


def test_one_is_scored_at_a_time_and_the_others_are_counted_as_skipped(settings: Settings, bundles: Path) -> None:
    (shown,) = decided(with_share(settings, 0.0))
    metrics, free = Metrics(Bundles(bundles), bundles), threading.Event()
    with ThreadPoolExecutor(1) as executor:
        shadow = Shadow(1.0, metrics, executor)

        def slow() -> Decision:
            free.wait(10)
            return shown

        shadow.consider(shown, slow)
        shadow.consider(shown, slow)
        assert counted(metrics, SKIPPED) == 1
        free.set()
    assert counted(metrics, SAME_FIRST) == 1


def test_slates_are_compared_by_what_they_share_and_by_what_is_on_top(settings: Settings, bundles: Path) -> None:
    (shown,) = decided(with_share(settings, 0.0))
    (row,) = shown.rows
    first, *rest = row.items
    assert rest
    turned = shown.model_copy(update={"rows": (row.model_copy(update={"items": (*rest, first)}),)})
    fewer = shown.model_copy(update={"rows": (row.model_copy(update={"items": tuple(rest)}),)})
    none = shown.model_copy(update={"rows": ()})
    assert compare(shown, turned) == (1.0, False)
    assert compare(shown, fewer) == (len(rest) / len(row.items), False)
    assert (compare(none, none), compare(none, shown)) == ((1.0, True), (0.0, False))


def test_the_challengers_pointer_is_followed_and_a_bad_one_is_refused(bundles: Path, caplog: pytest.LogCaptureFixture) -> None:
    champion, other = challenge(bundles)
    served = Bundles(bundles)
    served.refresh()
    found = served.challenger(TENANT)
    assert found is not None
    assert found.bundle.name == other
    write_pointer(bundles, TENANT, Pointer(bundle=champion), CHALLENGER)
    served.refresh()
    assert served.challenger(TENANT) is None  # it serves: there is nothing to compare
    write_pointer(bundles, TENANT, Pointer(bundle="0" * 16), CHALLENGER)
    served.refresh()
    assert served.challenger(TENANT) is None
    assert "the challenger is refused" in caplog.text
    assert served.refused == {}  # the champion goes on
    write_pointer(bundles, TENANT, Pointer(bundle=other), CHALLENGER)
    served.refresh()
    assert served.challenger(TENANT) is not None
    (bundles / TENANT / CHALLENGER).unlink()
    served.refresh()
    assert served.challenger(TENANT) is None
    assert read_pointer(bundles, TENANT).bundle == champion
