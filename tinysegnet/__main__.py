"""python -m tinysegnet"""

import sys

from .cli.main import main

if __name__ == "__main__":  # worker processes import this file as well
    sys.exit(main())
