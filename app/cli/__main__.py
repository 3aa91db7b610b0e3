"""`python -m app.cli`: the same as `flask --app app saga`, which also tells a wrong setting in one line."""

from flask.cli import ScriptInfo

from app.cli import saga

if __name__ == "__main__":
    # By name and not by import: app knows app.cli, not the other way round.
    saga(prog_name="saga", obj=ScriptInfo(app_import_path="app"))
