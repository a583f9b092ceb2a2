"""`python -m stream_app` is `foretell`."""

import sys

from stream_app.cli import main

sys.exit(main())
