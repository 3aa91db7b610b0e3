"""The answer of every route to every principal. A route that is missing in `ROUTES` fails a test."""

import shutil

import pytest

from app.access.permissions import Role, Scope

#: The permission that each route requires: a role (only signed-in users), a scope (users and API keys), or `open`
#: (none).
ROUTES = {
    "GET /health": "open",
    "GET /api/saga/health/": "open",
    "GET /ready": "open",
    "GET /metrics": "open",
    "GET /metrics/": "open",
    "GET /openapi.json": "open",
    "GET /docs": "open",
    "GET /api-docs": "open",
    "GET /static/<path:filename>": "open",
    "GET /login": "open",
    "POST /login": "open",
    "GET /login/oidc": "open",
    "GET /login/oidc/callback": "open",
    "POST /logout": "open",
    "GET /api/commande/<uuid:saga_id>": "read",
    "GET /api/commande/<uuid:saga_id>/historique": "read",
    "GET /api/saga/commandes/<uuid:saga_id>/": "read",
    "GET /api/saga/sagas/": "read",
    "GET /api/v1/sagas": "read",
    "GET /api/v1/sagas/<uuid:saga_id>": "read",
    "GET /api/v1/sagas/<uuid:saga_id>/journal": "read",
    "GET /api/v1/sagas/<uuid:saga_id>/effects": "read",
    "GET /api/v1/sagas/<uuid:saga_id>/replay": "read",
    "GET /api/v1/sagas/<uuid:saga_id>/diagram.svg": "read",
    "GET /api/v1/sagas/<uuid:saga_id>/events": "read",
    "GET /api/v1/schedules": "read",
    "POST /api/v1/schedules": "operate",
    "GET /api/v1/schedules/<name>": "read",
    "PATCH /api/v1/schedules/<name>": "operate",
    "DELETE /api/v1/schedules/<name>": "operate",
    "POST /api/v1/schedules/<name>/pause": "operate",
    "POST /api/v1/schedules/<name>/resume": "operate",
    "GET /api/v1/sagas/<uuid:saga_id>/case": "read",
    "POST /api/v1/sagas/<uuid:saga_id>/ask": "operate",
    "POST /api/v1/sagas/<uuid:saga_id>/checked": "operate",
    "POST /api/v1/sagas/<uuid:saga_id>/case/take": "operate",
    "POST /api/v1/sagas/<uuid:saga_id>/case/give-back": "operate",
    "POST /api/v1/sagas/<uuid:saga_id>/case/note": "operate",
    "POST /api/v1/sagas/<uuid:saga_id>/case/snooze": "operate",
    "POST /api/v1/sagas/<uuid:saga_id>/case/wake": "operate",
    "GET /api/v1/bulk": "read",
    "POST /api/v1/bulk": "operate",
    "GET /api/v1/bulk/<uuid:job_id>": "read",
    "POST /api/v1/bulk/<uuid:job_id>/pause": "operate",
    "POST /api/v1/bulk/<uuid:job_id>/resume": "operate",
    "POST /api/v1/bulk/<uuid:job_id>/stop": "operate",
    "POST /api/v1/clients/<client>/forget": "admin",
    "GET /admin/clients": "admin",
    "POST /admin/clients/forget": "admin",
    "GET /api/v1/participants": "read",
    "POST /api/v1/participants/<name>/pause": "operate",
    "POST /api/v1/participants/<name>/resume": "operate",
    "GET /api/v1/sagas/<uuid:saga_id>/webhooks": "read",
    "GET /api/v1/webhooks/dead": "read",
    "POST /api/v1/webhooks/<int(max=9223372036854775807):delivery_id>/redeliver": "operate",
    "POST /api/v1/webhooks/<int(max=9223372036854775807):delivery_id>/discard": "operate",
    "GET /api/v1/events/parked": "read",
    "POST /api/v1/events/parked/<int(max=9223372036854775807):parked_id>/retry": "operate",
    "POST /api/v1/events/parked/<int(max=9223372036854775807):parked_id>/discard": "operate",
    "GET /api/v1/definitions": "read",
    "GET /api/v1/definitions/<name>": "read",
    "GET /diagrams/": "read",
    "GET /diagrams/<name>.<any(svg,puml,dot,mmd,md):kind>": "read",
    "GET /diagrams/<name>/heat.svg": "read",
    "GET /diagrams/<name>/diff.<any(svg,md):kind>": "read",
    "POST /api/commande/checkout": "start",
    "POST /api/saga/commandes/": "start",
    "POST /api/v1/sagas": "start",
    "POST /api/v1/sagas/checkout": "start",
    "POST /api/v1/sagas/checkout/batch": "start",
    "POST /api/v1/sagas/commande": "start",
    "POST /api/v1/sagas/commande/batch": "start",
    "POST /api/v1/sagas/order_saga": "start",
    "POST /api/v1/sagas/order_saga/batch": "start",
    "POST /api/v1/sagas/purchase_saga": "start",
    "POST /api/v1/sagas/purchase_saga/batch": "start",
    "POST /api/v1/sagas/return_saga": "start",
    "POST /api/v1/sagas/return_saga/batch": "start",
    "POST /api/v1/sagas/<uuid:saga_id>/execute": "start",
    "POST /api/v1/sagas/<uuid:saga_id>/signals/<name>": "start",
    "POST /api/v1/replies/<uuid:saga_id>/<step>/<token>": "open",
    "POST /api/saga/commandes/<uuid:saga_id>/compenser/": "operate",
    "POST /api/v1/sagas/<uuid:saga_id>/compensate": "operate",
    "POST /api/v1/sagas/<uuid:saga_id>/retry": "operate",
    "POST /api/v1/sagas/<uuid:saga_id>/resolve": "operate",
    "POST /api/v1/sagas/<uuid:saga_id>/send-now": "operate",
    "GET /admin": "viewer",
    "GET /admin/stuck": "viewer",
    "GET /admin/stuck/group": "operator",
    "POST /admin/stuck/group": "operator",
    "GET /admin/bulk": "viewer",
    "GET /admin/bulk/<uuid:job_id>": "viewer",
    "POST /admin/bulk/<uuid:job_id>/<any(pause,resume,stop):action>": "operator",
    "GET /admin/sagas": "viewer",
    "GET /admin/sagas/<uuid:saga_id>": "viewer",
    "GET /admin/sagas/export.<any(csv,json):form>": "viewer",
    "GET /admin/sagas/<uuid:saga_id>/replay": "viewer",
    "POST /admin/sagas/<uuid:saga_id>/presence": "viewer",
    "POST /admin/views/<any(sagas,stuck):page>": "viewer",
    "POST /admin/views/<any(sagas,stuck):page>/<uuid:view_id>/rename": "viewer",
    "POST /admin/views/<any(sagas,stuck):page>/<uuid:view_id>/delete": "viewer",
    "GET /admin/sagas/<uuid:saga_id>/compare": "viewer",
    "POST /admin/sagas/<uuid:saga_id>": "operator",
    "POST /admin/sagas/<uuid:saga_id>/signals/<name>": "operator",
    "POST /admin/sagas/<uuid:saga_id>/checked": "operator",
    "POST /admin/sagas/<uuid:saga_id>/ask": "operator",
    "POST /admin/sagas/<uuid:saga_id>/case/take": "operator",
    "POST /admin/sagas/<uuid:saga_id>/case/give-back": "operator",
    "POST /admin/sagas/<uuid:saga_id>/case/note": "operator",
    "POST /admin/sagas/<uuid:saga_id>/case/snooze": "operator",
    "POST /admin/sagas/<uuid:saga_id>/case/wake": "operator",
    "GET /admin/handover": "viewer",
    "GET /admin/participants": "viewer",
    "POST /admin/participants/<name>/pause": "operator",
    "POST /admin/participants/<name>/resume": "operator",
    "GET /": "open",
    "GET /admin/rates": "viewer",
    "GET /admin/definitions": "viewer",
    "GET /admin/definitions/<name>": "viewer",
    "GET /admin/start": "viewer",
    "GET /admin/start/<name>": "operator",
    "POST /admin/start/<name>": "operator",
    "POST /admin/sagas/<uuid:saga_id>/begin": "operator",
    "GET /admin/schedules": "viewer",
    "POST /admin/schedules": "admin",
    "POST /admin/schedules/<name>/change": "admin",
    "POST /admin/schedules/<name>/pause": "admin",
    "POST /admin/schedules/<name>/resume": "admin",
    "POST /admin/schedules/<name>/remove": "admin",
    "GET /admin/parked": "viewer",
    "POST /admin/parked/<int(max=9223372036854775807):parked_id>/retry": "operator",
    "POST /admin/parked/<int(max=9223372036854775807):parked_id>/discard": "operator",
    "GET /admin/webhooks": "viewer",
    "POST /admin/webhooks/<int(max=9223372036854775807):delivery_id>/redeliver": "operator",
    "POST /admin/webhooks/<int(max=9223372036854775807):delivery_id>/discard": "operator",
    "GET /admin/audit": "viewer",
    "GET /admin/account": "viewer",
    "POST /admin/account/password": "viewer",
    "POST /admin/account/sessions/end": "viewer",
    "POST /admin/account/second-factor": "viewer",
    "POST /admin/account/second-factor/new": "viewer",
    "POST /admin/account/second-factor/remove": "viewer",
    "POST /admin/users/<name>/second-factor/remove": "admin",
    "GET /admin/users": "admin",
    "POST /admin/users": "admin",
    "POST /admin/users/<name>/role": "admin",
    "POST /admin/users/<name>/password": "admin",
    "POST /admin/users/<name>/remove": "admin",
    "GET /admin/keys": "admin",
    "POST /admin/keys": "admin",
    "POST /admin/keys/<prefix>/revoke": "admin",
}
#: The permissions of each principal, in the words of `ROUTES`. Every principal may also use the open routes.
MAY = {
    "nobody": set(),
    "viewer": {"viewer", "read"},
    "operator": {"viewer", "operator", "read", "start", "operate"},
    "admin": {"viewer", "operator", "admin", "read", "start", "operate"},
    "key of read": {"read"},
    "key of start": {"start"},
    "key of operate": {"operate"},
}
#: Two open routes whose answer to an allowed request is 401 or 303: a sign-in with a wrong password, and a sign-out.
OPEN_ANSWERS = {"POST /login": 401, "POST /logout": 303}
#: Values for the parameters in the paths. Nothing with these values exists, so an allowed request gets 404 and changes
#: nothing.
VALUES = {
    "saga_id": "00000000-0000-0000-0000-000000000000",
    "name": "nobody-of-that-name",
    "view_id": "00000000-0000-0000-0000-000000000000",
    "page": "sagas",
    "job_id": "00000000-0000-0000-0000-000000000000",
    "form": "csv",
    "action": "pause",
    "kind": "svg",
    "prefix": "x",
    "client": "nobody",
    "parked_id": "7",
    "delivery_id": "7",
    "step": "pay",
    "token": "wrong",
    "filename": "admin/icon.svg",
}


@pytest.fixture
def store_url(sqlite_url, sqlite_template, tmp_path):
    """Use SQLite only; permissions do not depend on the database."""
    shutil.copy(sqlite_template, tmp_path / "saga.db")
    return sqlite_url


def routes(app):
    for rule in app.url_map.iter_rules():
        values = {name: VALUES[name] for name in rule.arguments - (rule.defaults or {}).keys()}
        _, path = rule.build(values, append_unknown=False)
        for method in sorted(rule.methods - {"HEAD", "OPTIONS"}):
            yield f"{method} {rule.rule}", method, path


def verdict(answer):
    """Return "yes" for an allowed request, "no" for a refused one, and "who?" for an unauthenticated one."""
    if answer.status_code == 401 or (answer.status_code == 303 and "/login?next=" in answer.headers["Location"]):
        return "who?"
    return "no" if answer.status_code == 403 else "yes"


def test_matrix_contains_every_route(admin_service):
    assert {route for route, _, _ in routes(admin_service.app)} == ROUTES.keys()


@pytest.mark.parametrize("who", MAY)
def test_each_principal_gets_exactly_its_permissions(admin_service, who):
    browser = admin_service.browser(Role[who.upper()] if who in ("viewer", "operator", "admin") else None)
    headers = {"Referer": f"{'https://saga.example'}/admin", "X-CSRFToken": browser.token}
    if who.startswith("key of "):
        headers = {"X-API-Key": admin_service.key(Scope(who.removeprefix("key of ")))}
    found, expected = {}, {}
    # The sign-out is sent last, because it ends the session.
    for route, method, path in sorted(routes(admin_service.app), key=lambda it: it[0] == "POST /logout"):
        if who.startswith("key of ") and ROUTES[route] in ("viewer", "operator", "admin", "open"):
            continue  # test_api_key_opens_no_page covers these routes
        form = {"name": "nobody", "password": "x"} if route == "POST /login" else {}
        answer = browser.client.open(path, method=method, base_url="https://saga.example", headers=headers, data=form)
        assert answer.status_code < 500, (route, answer.text)
        answer.close()
        need = ROUTES[route]
        may = need == "open" or need in MAY[who]
        expected[route] = "yes" if may else "who?" if who == "nobody" else "no"
        found[route] = "yes" if answer.status_code == OPEN_ANSWERS.get(route) else verdict(answer)
    assert found == expected


def test_api_key_opens_no_page(admin_service):
    headers = {"X-API-Key": admin_service.key(*Scope)}
    for route, method, path in routes(admin_service.app):
        if ROUTES[route] in ("viewer", "operator", "admin") and method == "GET":
            assert verdict(admin_service.app.test_client().get(path, headers=headers)) == "who?", route


@pytest.mark.parametrize("role", list(Role))
def test_cookie_without_csrf_token_changes_nothing(admin_service, role):
    """A page of another site can make a browser send the cookies of this service, but does not know the token."""
    browser = admin_service.browser(role)
    forged = 0
    for route, method, path in routes(admin_service.app):
        if method == "POST" and "<token>" not in route:  # its permission is in its URL, not in a cookie
            answer = browser.client.post(path, base_url="https://saga.example", data={"csrf_token": "made up"})
            assert answer.status_code == 403, route
            assert "Not a form of this service" in answer.text, route
            forged += 1
    assert forged > 10


def test_view_without_a_permission_is_refused_to_everybody(admin_service):
    admin_service.app.view_functions["new"] = lambda: "secret"
    admin_service.app.url_map.add(admin_service.app.url_rule_class("/new", endpoint="new", methods=["GET"]))
    assert admin_service.browser(Role.ADMIN).get("/new").status_code == 403
