"""Waits for the death of a laboratory's process, however it dies, and clears away what it left.

`python -m tests.lab.guardian NAME`, started by the laboratory before it makes anything; says "ready" on its standard
output. In a session of its own, so that Ctrl-C in the terminal does not end it before its time.
"""

from __future__ import annotations

import os
import select
import sys
import time

from tests.lab import namespace

# A command of the dead process may still be making a namespace.
LOOKS = 3
LOOK_EVERY_S = 0.3


def main() -> None:
    laboratory, parent = sys.argv[1], os.getppid()
    watched = os.pidfd_open(parent)
    print("ready", flush=True)
    if os.getppid() == parent:
        select.select([watched], [], [])
    for look in range(LOOKS):
        if look:
            time.sleep(LOOK_EVERY_S)
        namespace.remove(laboratory)


if __name__ == "__main__":
    main()
