"""/admin/stuck/group: one action on many sagas: a dry run, and the start of a job for the service.

/admin/bulk lists the jobs, and /admin/bulk/<id> follows one until each of its sagas has settled.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC
from typing import Any
from uuid import UUID

from flask import redirect, render_template, request, url_for
from marshmallow import RAISE, Schema, fields, validate
from werkzeug.wrappers import Response

from app.access.permissions import Role, keeps_to_tenant, needs
from app.access.principal import principal
from app.admin.forms import StuckQuery, form_of, form_reason, query_of
from app.admin.pages import pages
from app.admin.stuck import filter_of, group_of
from app.engine.bulk import PACE
from app.services import services
from app.store import queries
from app.store.bulk import MOST_SAGAS
from app.store.loading import is_in_doubt, table_of
from app.views.available_actions import AvailableAction, available_actions
from app.views.bulk import (
    BULK_ACTIONS,
    LARGEST_PACE,
    change_job,
    filter_words,
    fits,
    progress,
    start_job,
)
from app.views.masking import shown
from app.views.planned_calls import Kin
from app.views.states import attention_of
from machines.history import replies, skipped_steps
from machines.preview import Known

blueprint = pages("bulk")
#: Number of sagas that the dry run shows one by one, and largest number of groups that it names.
SHOWN, GROUPS = 10, 10
#: Largest number of jobs on the list, and of sagas that a job's page names one by one.
JOBS, NOTABLE = 50, 100


class _Start(Schema):
    """The form that starts a job; the reason is read by `form_reason`."""

    class Meta:
        unknown = RAISE

    csrf_token = fields.String()
    reason = fields.String()
    action = fields.String(required=True, validate=validate.OneOf(BULK_ACTIONS))
    pace = fields.Float(load_default=PACE, validate=validate.Range(0.1, LARGEST_PACE))
    #: Time of the dry run. Sagas that entered their state later were not in it.
    until = fields.AwareDateTime(load_default=None, default_timezone=UTC)


@dataclass(frozen=True, kw_only=True)
class Example:
    """One saga of the dry run, and the available actions by name."""

    saga: Any
    actions: dict[str, AvailableAction]


@blueprint.get("/admin/stuck/group")
@needs(Role.OPERATOR)
@keeps_to_tenant
def show() -> str:
    """Show the dry run: the number of sagas, and the calls that each action would send. Change nothing."""
    query, registry = query_of(StuckQuery()), services().registry
    wanted, attention = filter_of(query), attention_of(registry)
    groups, fitting = attention.groups(wanted), fits(registry, attention.by_state(wanted))
    return render_template(
        "admin/bulk.html",
        query=query,
        groups=[group_of(row) for row in groups[:GROUPS]],
        total=groups[0].total if groups else 0,
        total_groups=groups[0].total_groups if groups else 0,
        fits=fitting,
        examples={
            action: _examples(attention.page(replace(wanted, state_keys=tuple(fit.states)), SHOWN))
            for action, fit in fitting.items()
            if fit.sagas
        },
        until=attention.now.isoformat(),
        pace=PACE,
        most=MOST_SAGAS,
    )


@blueprint.post("/admin/stuck/group")
@needs(Role.OPERATOR)
@keeps_to_tenant
def act() -> Response:
    """Start the job, and go to its page."""
    query, form = query_of(StuckQuery()), form_of(_Start(), request.form)
    words = {name: values for name, values in request.args.to_dict(flat=False).items() if any(values)}
    job_id = start_job(
        services(), filter_of(query), words, action=form["action"], reason=form_reason(), pace=form["pace"],
        actor=principal().actor, until=form["until"],
    )  # fmt: skip
    return redirect(url_for("admin_bulk.show_job", job_id=job_id), 303)


@blueprint.get("/admin/bulk")
@needs(Role.VIEWER)
@keeps_to_tenant
def index() -> str:
    store = services().bulk_jobs.store
    jobs = [(job, progress(job, store.counts(job.id))) for job in store.newest(JOBS)]
    return render_template("admin/bulk_jobs.html", jobs=jobs)


@blueprint.get("/admin/bulk/<uuid:job_id>")
@needs(Role.VIEWER)
@keeps_to_tenant
def show_job(job_id: UUID) -> str:
    store = services().bulk_jobs.store
    job = store.find(job_id)
    counts = store.counts(job_id)
    return render_template(
        "admin/bulk_job.html", job=job, counts=counts, words=progress(job, counts),
        wanted=filter_words(services().registry, job.wanted),
        notable=store.notable(job_id, NOTABLE), settled=job.sagas - counts.get("open", 0) - counts.get("moving", 0),
    )  # fmt: skip


@blueprint.post("/admin/bulk/<uuid:job_id>/<any(pause,resume,stop):action>")
@needs(Role.OPERATOR)
@keeps_to_tenant
def change(job_id: UUID, action: str) -> Response:
    change_job(services(), job_id, action, principal().actor)
    return redirect(url_for("admin_bulk.show_job", job_id=job_id), 303)


def _examples(found: Sequence[Any]) -> list[Example]:
    """Return the available actions of each saga; none when this release does not have the saga's table."""
    ids = [row.id for row in found]
    journals, sagas = queries.journals(ids), queries.sagas(ids)
    examples = []
    for row in found:
        if saga := sagas.get(row.id):
            saga, journal = shown(services().registry, saga, journals[row.id])
            definition = table_of(services().registry, saga, journal)
            known = Known(data=saga.data, results=replies(journal), skipped=skipped_steps(journal))
            kin = Kin(registry=services().registry) if definition and definition.starts_others else None
            actions = (
                available_actions(definition, saga.state, saga.id, known, in_doubt=is_in_doubt(saga), kin=kin)
                if definition
                else []
            )
            examples.append(Example(saga=row, actions={action.name: action for action in actions}))
    return examples
