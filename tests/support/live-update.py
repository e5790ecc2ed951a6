# SPDX-License-Identifier: MIT
"""usage: live-update.py SOCKET PROGRAM [ARGUMENTS]

Asks the xenstored at SOCKET to let PROGRAM go on in its place, as xenstore-control does; returns when it does.
"""
import signal
import socket
import sys
import time

import xs  # beside this file


def main():
    s = socket.socket(socket.AF_UNIX)
    signal.alarm(60)
    s.connect(sys.argv[1])

    def ask(*words):
        data = b"".join(w.encode() + b"\0" for w in ("live-update",) + words)
        s.sendall(xs.message(0, data))
        return xs.receive(s)[1]

    answer = ask("-f", sys.argv[2])
    if answer == b"OK\0" and len(sys.argv) > 3:
        answer = ask("-c", sys.argv[3])
    if answer == b"OK\0":
        answer = ask("-s")
    while answer == b"BUSY\0":
        time.sleep(0.01)
        answer = ask("-s")
    if answer != b"OK\0":
        sys.exit("live-update: " + answer.decode(errors="replace").rstrip("\0"))


main()
