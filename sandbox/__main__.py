"""`python -m sandbox`: run the local cloud."""

import sys

from sandbox.server import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
