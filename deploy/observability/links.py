"""Where dashboards and alerts lead to."""

#: The dashboards' own variable, so that one may say where the service is; alerts have the address from here.
ORCHESTRATOR = "http://localhost:8009"
RUNBOOKS = "docs/runbooks"
#: Statuses as the admin view's list knows them.
UNFINISHED, NOT_COMPLETED = "pending,running,compensating,stuck", "compensating,compensated,stuck"


def sagas_in(saga: str, *, orchestrator: str = ORCHESTRATOR, **also: str) -> str:
    """Give the URL of the admin view's list of this type, or of several with commas between them. also: as its form."""
    return f"{orchestrator}/admin/sagas?type={saga}" + "".join(f"&{name}={value}" for name, value in also.items())
