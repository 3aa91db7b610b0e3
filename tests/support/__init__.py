"""Helper modules that several kinds of tests share."""
