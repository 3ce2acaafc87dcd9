"""`python -m riskscore` is the `riskscore` command."""

import sys

from riskscore.cli import main

if __name__ == "__main__":
    sys.exit(main())
