"""`python -m app.cli`: the same as `flask --app app saga`, except that a wrong setting is reported in one line."""

from flask.cli import ScriptInfo

from app.cli import saga

if __name__ == "__main__":
    # The application is given by its name, because app imports app.cli: an import here would be circular.
    saga(prog_name="saga", obj=ScriptInfo(app_import_path="app"))
