"""The guards of parents and children, each with the change that removes it. `saga verify` must find each one missing.

A guard is removed by a change of the text of the function that has it, so everything else stays the engine's own code.
"""

import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pytest import MonkeyPatch  # noqa: PT013  a short name for the parameter of every guard

from machines import families, groups
from machines.families import Families, FamilyLoop
from machines.groups import Branches
from machines.progress import Progress
from machines.running import RunningSaga
from machines.verify import children
from machines.verify.children import Children
from machines.verify.moves import Moves


@dataclass(frozen=True, kw_only=True)
class Guard:
    """A guard: the function that has it, its text, and the text without it."""

    owner: Any
    function: str
    text: str
    without: str
    #: The table of test_family_guards.py that shows it.
    table: str
    #: Other modules that have imported the function.
    users: tuple[Any, ...] = ()

    def remove(self, patch: MonkeyPatch) -> None:
        changed = self._changed()
        for owner in (self.owner, *self.users):
            patch.setattr(owner, self.function, changed)

    def _changed(self) -> Any:
        found = inspect.getattr_static(self.owner, self.function)
        function: Callable[..., Any] = getattr(found, "fget", None) or getattr(found, "__func__", found)
        source = textwrap.dedent(inspect.getsource(function))
        assert source.count(self.text) == 1, f"{self.function} has {self.text!r} {source.count(self.text)} times"
        changed = textwrap.indent(source.replace(self.text, self.without), "    ")
        made: dict[str, Any] = {}
        # super() finds the class of its method in the variable __class__
        exec(f"def make(__class__):\n{changed}\n    return {self.function}", function.__globals__, made)
        return made["make"](self.owner)


GUARDS = {
    # machines/families.py
    "a_group_is_done_when_each_branch_is": Guard(
        owner=Families, function="_take_branches", table="together",
        text="any(child.status != Status.COMPLETED", without="not any(child.status == Status.COMPLETED",
    ),
    "a_group_is_done_when_each_item_has_started": Guard(
        owner=Families, function="_take_branches", table="limited",
        text="len(newest) < branches.count or", without="",
    ),
    "a_branch_that_goes_back_ends_the_group": Guard(
        owner=Families, function="_take_branches", table="together",
        text="if branches.goes_back(child)", without="if False",
    ),
    "the_other_branches_are_undone_as_well": Guard(
        owner=Families, function="_take_branches", table="together",
        text="Outcome.REFUSED_UNDO", without="Outcome.REFUSED",
    ),
    "a_group_behind_an_empty_one_starts_its_own_children": Guard(
        owner=Families, function="take", table="empty", text="saga.missing_children = None", without="pass",
    ),
    "an_undo_waits_for_each_child": Guard(
        owner=Families, function="_taken", table="together",
        text="any(child.status != Status.COMPENSATED for child in known)", without="not known",
    ),
    "a_child_that_runs_has_no_result": Guard(
        owner=Families, function="_taken", table="sub",
        text="last is None or last.status not in FINISHED", without="last is None",
    ),
    "a_compensated_child_is_no_success": Guard(
        owner=Families, function="_taken", table="sub",
        text="if last.status == Status.COMPENSATED", without="if last is None",
    ),
    "a_child_obeys_its_parent": Guard(
        owner=Families, function="obey", table="together",
        text="if trigger is not None", without="if False",
    ),
    "a_stuck_child_obeys_its_parent": Guard(
        owner=Families, function="obey", table="together",
        text="if trigger is not None", without="if trigger is not None and saga.status != Status.STUCK",
    ),
    "a_completed_child_obeys_its_parent": Guard(
        owner=Families, function="obey", table="together",
        text="if trigger is not None", without="if trigger is not None and saga.status != Status.COMPLETED",
    ),
    "no_child_starts_in_an_undo": Guard(
        owner=Families, function="prepare", table="together", text="at.undoes or", without="",
    ),
    "an_empty_group_does_not_wait": Guard(
        owner=FamilyLoop, function="_end_wait_for_child", table="no_items",
        text=" and not (at.step and at.step.group)", without="",
    ),
    "a_person_does_not_resolve_past_a_child_to_undo": Guard(
        owner=Families, function="why_not_in", table="together",
        text="FINISHED if trigger is Trigger.RESOLVE and not at.undoes else (Status.COMPENSATED,)", without="FINISHED",
    ),
    "a_completed_child_is_not_compensated_by_itself": Guard(
        owner=Families, function="why_not_in", table="together",
        text="place.parent_id is not None and", without="place.parent_id is None and",
    ),
    "a_person_does_not_resolve_past_a_child": Guard(
        owner=Families, function="why_not_in", table="retriable",
        text="if child.status not in enough", without="if False",
    ),
    "a_child_that_waits_obeys_its_parent": Guard(
        owner=FamilyLoop, function="run", table="waiting",
        text="if saga.goes_back", without="if saga.goes_back and not saga.current.waits",
    ),
    "the_newest_child_ends_the_wait": Guard(
        owner=Families, function="_taken", table="sub", text="last = known[-1]", without="last = known[0]",
    ),
    "a_branch_that_was_replaced_does_not_end_the_group": Guard(
        owner=Families, function="_take_branches", table="together", text="in newest if", without="in known if",
    ),
    "a_person_does_not_resolve_past_the_newest_child": Guard(
        owner=Families, function="why_not_in", table="sub", text="known[-1:]", without="known[:1]",
    ),
    "only_the_newest_child_is_replaced": Guard(
        owner=families, function="_only_child", table="sub", text="known[-1]", without="known[0]",
    ),
    "another_child_has_a_new_number": Guard(
        owner=families, function="_only_child", table="sub", text="len(known) + 1", without="1",
    ),
    "a_step_has_one_child": Guard(
        owner=families, function="_only_child", table="sub",
        text="if known and not", without="if False and not",
    ),
    "only_a_person_starts_another_child": Guard(
        owner=families, function="_only_child", table="sub",
        text="retried and known", without="known",
    ),
    # machines/groups.py
    "no_item_starts_beside_one_that_goes_back": Guard(
        owner=Branches, function="_places_to_start", table="limited",
        text="if any(self.goes_back(child)", without="if False and any(self.goes_back(child)",
    ),
    "not_more_items_run_than_the_table_allows": Guard(
        owner=Branches, function="missing", table="limited",
        text="child.status not in FINISHED", without="child.status == Status.STUCK",
    ),
    "a_stuck_item_counts_as_running": Guard(
        owner=Branches, function="missing", table="limited",
        text="child.status not in FINISHED", without="child.status not in (*FINISHED, Status.STUCK)",
    ),
    "a_branch_starts_once": Guard(
        owner=Branches, function="_places_to_start", table="together",
        text="place not in newest or place in again", without="True",
    ),
    "only_a_person_starts_a_branch_again": Guard(
        owner=Branches, function="_places_to_start", table="together",
        text="if retried and", without="if",
    ),
    "the_newest_child_stands_for_its_branch": Guard(
        owner=Branches, function="_by_place", table="together", text="in known}", without="in reversed(known)}",
    ),
    "another_child_of_a_branch_has_a_new_number": Guard(
        owner=Branches, function="_child", table="together",
        text="before.child_number + self.count", without="place + 1",
    ),
    "a_retry_replaces_each_compensated_branch": Guard(
        owner=Branches, function="_places_to_start", table="together",
        text="in newest.items() if place not in again", without="in newest.items()",
    ),
    "a_replaced_item_is_not_counted_twice": Guard(
        owner=Families, function="_take_branches", table="limited", text="len(newest) <", without="len(known) <",
    ),
    "items_start_as_there_is_room": Guard(
        owner=Branches, function="missing", table="limited", text="places[: max(room, 0)]", without="places",
    ),
    "a_branch_that_fails_wakes_at_once": Guard(
        owner=RunningSaga, function="ends_quietly", table="together",
        text="self.status == Status.COMPLETED", without="self.status in FINISHED",
    ),
    "a_branch_that_is_stuck_in_a_compensation_goes_back": Guard(
        owner=Branches, function="goes_back", table="together",
        text="child.status != Status.STUCK", without="child.status",
    ),
    "a_completed_child_is_asked_to_compensate": Guard(
        owner=groups, function="is_sent_back", table="together", users=(children,),
        text="(not goes_back or status == Status.COMPLETED)", without="not goes_back and status != Status.COMPLETED",
    ),
    # machines/progress.py and machines/running.py
    "a_child_skips_its_first_step_when_the_condition_does_not_hold": Guard(
        owner=Progress, function="_decide", table="born", text="decision.holds is None", without="not decision.holds",
    ),
    "a_saga_that_waits_for_a_child_undoes_it": Guard(
        owner=Progress, function="may_have_worked", table="together",
        text=" or self._at.awaits_child", without="",
    ),
    "a_branch_that_fails_wakes_its_parent": Guard(
        owner=RunningSaga, function="ends_for_parent", table="together",
        text="fails or", without="",
    ),
    "the_end_of_a_child_wakes_its_parent": Guard(
        owner=RunningSaga, function="ends_for_parent", table="sub",
        text="self.status in FINISHED", without="False",
    ),
    "the_end_of_each_item_wakes_where_not_all_run_at_once": Guard(
        owner=RunningSaga, function="ends_quietly", table="limited",
        text="not table.limited and", without="",
    ),
    # What the database does: the model of machines/verify
    "a_release_sees_the_end_of_a_child": Guard(
        owner=Moves, function="stored", table="sub",
        text="(save.known != arrived or world.ends == NEW_END)", without="False",
    ),
    "the_last_branch_wakes_its_parent": Guard(
        owner=Children, function="_moved", table="together",
        text="due=not (move.quiet and left)", without="due=not move.quiet",
    ),
    "a_child_that_is_born_finished_wakes_its_parent": Guard(
        owner=Children, function="committed", table="born",
        text="kin.stage.status in FINISHED for", without="kin.stage.undoes for",
    ),
}  # fmt: skip
