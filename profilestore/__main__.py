"""`python -m profilestore`, the same as the command `profilestore`."""

import sys

from profilestore.cli import main

sys.exit(main())
