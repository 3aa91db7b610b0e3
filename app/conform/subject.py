"""The participant that `saga conform` tries, and what is known about its calls."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.participant_settings.model import ParticipantSettings
from machines.call import Call
from machines.references import split
from machines.saga import Saga
from machines.step import Step


@dataclass(kw_only=True)
class Subject:
    """The participant that is tried, and what is known about its calls."""

    definition: Saga
    step: Step
    #: The call that undoes the step; None: there is none.
    undo: Call | None
    #: Data of the sagas.
    data: Mapping[str, Any]
    #: Data that the participant refuses; None: not known.
    refused_data: Mapping[str, Any] | None = None
    #: Data that gives the call another body; None: not known.
    other_data: Mapping[str, Any] | None = None
    #: Replies of earlier steps, which are then not called.
    replies: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, ParticipantSettings]
    #: Path of a GET at the participant that shows the effects; "": there is none.
    look: str = ""
    #: Shell command that kills the participant and starts it again; "": there is none.
    crash: str = ""

    @property
    def undo_needs_reply(self) -> bool:
        return self.undo is not None and any(split(each)[0] == self.step.name for each in self.undo.references)

    def earlier_steps(self) -> list[Step]:
        """Return the earlier steps whose replies the calls need, in the order of the table."""
        needed, before = {self.step.name}, list[Step]()
        for step in reversed(self.definition.steps):
            if step.name in needed:
                own = (step.call, self.undo, step.probe) if step is self.step else (step.call, step.undo)
                needed |= {root for call in own if call for each in call.references if (root := split(each)[0])}
                before.append(step)
        return [step for step in reversed(before) if step is not self.step]

    def earlier_steps_of_look(self) -> list[Step]:
        """Return the earlier steps that are called at the participant of the step, so that the look may show them."""
        assert self.step.call is not None
        url = self.settings[self.step.call.participant].url
        called = [step for step in self.earlier_steps() if step.name not in self.replies]
        return [step for step in called if step.call is not None and self.settings[step.call.participant].url == url]
