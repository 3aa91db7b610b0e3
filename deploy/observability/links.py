"""The links in dashboards and alerts."""

#: The address of the service in alerts, and the default of the dashboards' variable `orchestrator`.
ORCHESTRATOR = "http://localhost:8009"
RUNBOOKS = "docs/runbooks"
#: Values for the filter `status` of the page /admin/sagas.
UNFINISHED, NOT_COMPLETED = "pending,running,compensating,stuck", "compensating,compensated,stuck"


def sagas_in(saga: str, *, orchestrator: str = ORCHESTRATOR, **also: str) -> str:
    """Return the URL of the admin page that lists sagas of these comma-separated types. `also`: further filters."""
    return f"{orchestrator}/admin/sagas?type={saga}" + "".join(f"&{name}={value}" for name, value in also.items())
