"""The operator's pages: stuck sagas, their effects, the available actions, users and API keys."""

from collections.abc import Callable

from flask import Flask, Response

from app.admin import (
    account,
    api_keys,
    audit,
    bulk,
    cases,
    clients,
    compare,
    dead_letters,
    definitions,
    doors,
    overview,
    participants,
    presence,
    provider,
    rates,
    replay,
    saga,
    sagas,
    saved_views,
    schedules,
    sign_in,
    start,
    stuck,
    users,
    webhooks,
)
from app.admin.pages import prepare


def install(app: Flask, otherwise: Callable[[Exception], Response]) -> None:
    """Register every page. otherwise: returns the answer for an unknown address outside /admin/."""
    prepare(app, otherwise)
    app.jinja_env.globals["participants_in_trouble"] = participants.strip
    for page in (
        doors,
        overview,
        stuck,
        bulk,
        sagas,
        saved_views,
        participants,
        saga,
        cases,
        presence,
        replay,
        compare,
        rates,
        definitions,
        start,
        schedules,
        dead_letters,
        webhooks,
        sign_in,
        provider,
        account,
        users,
        api_keys,
        clients,
        audit,
    ):
        app.register_blueprint(page.blueprint)
