"""`python -m riskbus` is the command `riskbus`."""

import sys

from riskbus.cli import main

sys.exit(main())
