"""The benchmarks' order as a durable handler of Restate. Each call is a durable step (`run`) of the handler.

Restate's server keeps the journal on its own disk, not in PostgreSQL.
"""

import os
from datetime import timedelta
from typing import Any

import httpx
import restate

from benchmarks.contenders import STEPS

_URL = os.environ["PARTICIPANTS_URL"]
_client = httpx.AsyncClient(trust_env=False, timeout=5, limits=httpx.Limits(max_connections=64))
bench = restate.Service("bench")


@bench.handler()
async def buy(ctx: restate.Context, data: dict[str, Any]) -> dict[str, str]:
    for step in STEPS:
        await ctx.run_typed(step, _call, restate.RunOptions(max_duration=timedelta(seconds=30)), step=step, data=data)
    return {"status": "completed"}


async def _call(step: str, data: dict[str, Any]) -> dict[str, Any]:
    response = await _client.post(f"{_URL}/bench/{step}", json=data)
    response.raise_for_status()
    body: dict[str, Any] = response.json()
    return body


application = restate.app([bench])
