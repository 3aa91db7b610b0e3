"""/: the start page, with a door to everything that this service has. It shows nothing of any saga."""

from flask import render_template, url_for

from app.access.permissions import OPEN, needs
from app.admin.pages import pages

blueprint = pages("doors")


@blueprint.get("/")
@needs(OPEN)
def show() -> str:
    doors = (
        (url_for("admin_overview.show"), "Console", "what runs, what is stuck, and what to do about it"),
        (url_for("admin_definitions.index"), "Definitions", "the tables of the sagas, their diagrams and differences"),
        (url_for("docs.page"), "API", "all requests, to read and to try"),
        (url_for("docs.openapi"), "API as OpenAPI", "the same for programs"),
        (url_for("health.ready"), "Ready", "whether this process can do its work"),
        (url_for("prometheus_metrics"), "Metrics", "figures for Prometheus"),
    )
    return render_template("start_page.html", doors=doors)
