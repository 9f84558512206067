"""A worker: reports on a stream of numbers, until it is asked to end. Its helper is a process of its own, in a session of
its own: when the worker is dismissed the daemon ends that too."""

import argparse
import os
import random
import signal
import subprocess
import sys
import time


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--every", type=float, default=1.0)
    every = arguments.parse_args().every
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(86400)"], start_new_session=True)
    print("%s watches %s, helper pid %d" % (os.environ["OPENSTARRY_AGENT_ID"], os.environ["DATA_SOURCE"], helper.pid))
    value, values = 100.0, []
    while True:
        value += random.gauss(0, 1)
        values = (values + [value])[-100:]
        print("%d values, mean %.2f, last %.2f" % (len(values), sum(values) / len(values), value))
        time.sleep(every)


if __name__ == "__main__":
    main()
