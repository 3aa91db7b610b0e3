"""The journal of a saga that asked for its answer by polls, replayed."""

import runpy

import pytest

from machines import Saga, amount, compensatable, get, header, pivot, poll, post, text
from machines.replay.playing import difference, play, play_once
from machines.replay.recording import recording
from machines.replay.source import source_of
from machines.replay.what_if import calls_of, changed
from machines.testing import accepted, always, down, every_outcome, given, lost, ok, pending, refused
from tests.support.journals import journal_of

PARCEL = Saga(
    name="parcel", version=1, initial="ASKED", completed="PAID", compensated="BACK", data={},
    participants=("warehouse", "bank"),
    steps=(
        compensatable(
            "pick", post("warehouse", "/jobs", keeps={"url": header("Location"), "price": amount()}),
            undo=post("warehouse", "/jobs/undo"),
            probe=get("warehouse", "/picked/{saga.id}", keeps={"url": text(), "price": amount()}),
            later=poll(get("warehouse", "{pick.url}"), every_s=30, within_s=600), done="PICKED", refused="NONE_LEFT",
        ),
        pivot(
            "pay", post("bank", "/payments", keeps={"id": text()}), later=poll(get("bank", "/payments"), every_s=5,
            within_s=60), done="PAID", refused="DECLINED",
        ),
    ),
)  # fmt: skip


def replayed(scenario, tmp_path, **passing):
    """Run a scenario, replay its journal, and run the written test. Return the played journal."""
    run = scenario.run().after(**(passing or {"days": 1}))
    played = play(recording(PARCEL, {}, journal_of(run)))
    assert difference(played) is None, f"{scenario.name}: {difference(played)}"
    assert played.run.ended == run.ended
    file = tmp_path / "written.py"
    written = source_of(played, None, title="parcel", sagas="samples").replace(
        'discover("samples").get("parcel", 1)', "PARCEL"
    )
    file.write_text(written)
    tests = runpy.run_path(str(file), {"PARCEL": PARCEL})
    tests["test_parcel_goes_the_way_of_its_journal"]()
    return played


@pytest.mark.parametrize("scenario", every_outcome(PARCEL), ids=lambda each: each.__name__)
def test_every_outcome_is_replayed(scenario, tmp_path):
    replayed(scenario, tmp_path)


def test_answer_after_many_short_waits_is_replayed_with_short_waits(tmp_path):
    scenario = given(PARCEL).without_back_off().when(pick=accepted).when_polled(pick=[pending] * 6)
    played = replayed(scenario, tmp_path)
    assert played.run.calls.count("poll pick") == 7
    assert not played.recording.scenario.script["poll", "pick"][6:]  # the last one is the success that needs no word


def test_saga_that_a_person_retried_polls_again(tmp_path):
    scenario = given(PARCEL).when(pay=[accepted, accepted]).when_polled(pay=[down] * 20 + [ok])
    run = scenario.run().after(hours=1)
    assert run.stuck
    run.retry().after(hours=1)
    played = play(recording(PARCEL, {}, journal_of(run)))
    assert difference(played) is None


def test_what_if_changes_the_outcome_of_a_poll(tmp_path):
    played = replayed(given(PARCEL).when(pick=accepted).when_polled(pick=[pending]), tmp_path)
    assert "poll pick" in calls_of(PARCEL)
    assert play_once(changed(played.recording, "poll pick=refused")).run.ended == "BACK"
    never = play_once(changed(played.recording, "poll pick=always-pending")).run
    assert (never.ended, never.calls[-2:]) == ("BACK", ["probe pick", "undo pick"])
    assert difference(play_once(changed(played.recording, "poll pick=refused"))) is not None


def test_unknown_polls_are_named(tmp_path):
    never = given(PARCEL).when(pick=accepted).when_polled(pick=always(pending)).when_probed(pick=refused("no", 404))
    played = replayed(never, tmp_path)
    assert "pick: no poll learned its outcome; the test takes it that it is not done." in played.recording.unknown
    assert not replayed(given(PARCEL).when(pick=accepted).when_polled(pick=lost), tmp_path).recording.unknown
