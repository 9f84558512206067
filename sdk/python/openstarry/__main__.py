"""python -m openstarry package.module:Class runs a class as an agent."""

import sys

from .runner import load, run

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m openstarry package.module:Class")
    run(load(sys.argv[1]))
