"""``python main.py …`` is the command ``mucoffea …``."""

import sys

from mucoffea.cli import main

if __name__ == "__main__":
    sys.exit(main())
