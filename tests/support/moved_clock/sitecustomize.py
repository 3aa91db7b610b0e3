"""Moves the clock of each Python process that has this folder in PYTHONPATH by CLOCK_OFFSET_S seconds.

Only the time of day is moved, as an administrator or a wrong NTP server moves it. The monotonic clock stays.
"""

import datetime as dt
import os
import time

_OFFSET_S = float(os.environ["CLOCK_OFFSET_S"])
_time, _time_ns, _gmtime, _localtime = time.time, time.time_ns, time.gmtime, time.localtime
_Real = dt.datetime


class _AnyMoment(type):
    """Makes a datetime that C code has made, such as psycopg2's, an instance of the moved class."""

    def __instancecheck__(cls, value):
        return isinstance(value, _Real)


class _Moved(_Real, metaclass=_AnyMoment):
    @classmethod
    def now(cls, tz=None):
        return _Real.fromtimestamp(time.time(), tz)

    @classmethod
    def today(cls):
        return cls.now()

    @classmethod
    def utcnow(cls):
        return cls.now(dt.UTC).replace(tzinfo=None)


def _seconds(given):
    return time.time() if given is None else given


time.time = lambda: _time() + _OFFSET_S
time.time_ns = lambda: _time_ns() + int(_OFFSET_S * 1e9)
time.gmtime = lambda given=None: _gmtime(_seconds(given))
time.localtime = lambda given=None: _localtime(_seconds(given))
dt.datetime = _Moved
