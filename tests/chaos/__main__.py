"""Lets ``python -m tests.chaos`` run a campaign."""

import sys

from tests.chaos.cli import main

if __name__ == "__main__":
    sys.exit(main())
