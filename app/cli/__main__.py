"""`python -m app.cli`: as `flask --app app saga`, but a wrong setting is reported in one line."""

from flask.cli import ScriptInfo

from app.cli import saga

if __name__ == "__main__":
    # The application is named and not imported: app imports app.cli.
    saga(prog_name="saga", obj=ScriptInfo(app_import_path="app"))
