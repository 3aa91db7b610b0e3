"""An option that takes seconds."""

from typing import Any

import click


class Seconds(click.FloatRange):
    """A number of seconds within bounds; `nan`, which no bound keeps out, is none."""

    name = "seconds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        seconds = float(super().convert(value, param, ctx))
        if seconds != seconds:  # noqa: PLR0124  so is nan
            self.fail(f"{value!r} is no number of seconds.", param, ctx)
        return seconds
