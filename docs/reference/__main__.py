"""`python -m docs.reference`: write the reference pages; `--check` compares them with the code."""

import sys

from docs.reference import PAGES

sys.exit(PAGES.main())
