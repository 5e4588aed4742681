"""`python -m colonnade` is the `colonnade` command; the supervisor starts its children so."""

import sys

from colonnade.cli import main

sys.exit(main())
