"""The version of this release. The wheel, `saga --version` and the API document have the same one."""

VERSION = "1.0.0"
