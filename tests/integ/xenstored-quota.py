# SPDX-License-Identifier: MIT
"""usage: xenstored-quota.py DIR LOG

Drives each quota of the service domain netback to its limit: that many are allowed, one more is not, and the first
refusal of each is a line of the log with domain, quota, limit and what was asked for.
"""
import re
import socket
import struct
import sys

DIRECTORY, READ, WATCH, START, END, WRITE, MKDIR, RM, SET_PERMS = 1, 2, 4, 6, 7, 11, 12, 13, 14
CONTROL, ERROR, EVENT, SET_QUOTA = 0, 16, 15, 26
DOMID = 32001
HOME = b"/local/domain/32001"


class Client:
    def __init__(self, path):
        self.s = socket.socket(socket.AF_UNIX)
        self.s.settimeout(60)
        self.s.connect(path)

    def send(self, kind, data, tx=0):
        self.s.sendall(struct.pack("=IIII", kind, 1, tx, len(data)) + data)

    def answer(self):
        while True:
            h = struct.unpack("=IIII", self.s.recv(16, socket.MSG_WAITALL))
            data = self.s.recv(h[3], socket.MSG_WAITALL) if h[3] else b""
            if h[0] != EVENT:
                return data

    def ask(self, kind, data, tx=0):
        self.send(kind, data, tx)
        return self.answer()


def want(got, expected, what):
    if got != expected:
        sys.exit("%s: %r, expected %r" % (what, got, expected))


def main():
    zero, service = Client(sys.argv[1] + "/xenstored.sock"), Client(sys.argv[1] + "/store/netback.sock")
    refused = {}

    def limit(name, value):
        want(zero.ask(SET_QUOTA, b"%d\0%s\0%d\0" % (DOMID, name, value)), b"OK\0", "SET_QUOTA")

    def allowed(what, n, request):
        """n pass, one more does not, and not the next one either"""
        for i in range(n):
            got = request(i)
            if got in (b"ENOSPC\0", b"EINVAL\0"):
                sys.exit("%s: %r for number %d of %d" % (what, got, i + 1, n))
        for _ in range(2):
            want(request(n), b"ENOSPC\0", "%s: one more than %d" % (what, n))

    # its home has three nodes
    limit(b"nodes", 10)
    allowed("nodes by WRITE and MKDIR", 7, lambda i: service.ask(
        WRITE if i % 2 else MKDIR, HOME + b"/n%d\0" % i))
    want(service.ask(WRITE, HOME + b"/n0\0again"), b"OK\0", "a node that is there, at the limit")
    want(service.ask(RM, HOME + b"/n0\0"), b"OK\0", "RM")
    want(service.ask(MKDIR, HOME + b"/a/b\0"), b"ENOSPC\0", "two nodes where one is left")
    want(service.ask(MKDIR, HOME + b"/n0\0"), b"OK\0", "one node where one is left")
    want(zero.ask(MKDIR, HOME + b"/by-zero\0"), b"OK\0", "domain 0 has no limit")
    want(zero.ask(RM, HOME + b"/by-zero\0"), b"OK\0", "RM")
    refused["nodes"] = (10, 11)
    for i in range(7):
        service.ask(RM, HOME + b"/n%d\0" % i)

    limit(b"watches", 5)
    allowed("watches", 5, lambda i: service.ask(WATCH, HOME + b"\0token%d\0" % i))
    want(service.ask(WATCH, HOME + b"\0token0\0"), b"EEXIST\0", "a watch that is there, at the limit")
    refused["watches"] = (5, 6)

    limit(b"transactions", 4)
    ids = []
    allowed("transactions", 4, lambda i: ids.append(service.ask(START, b"\0")) or ids[-1])
    for x in ids[:4]:
        want(service.ask(END, b"F\0", int(x[:-1])), b"OK\0", "END")
    refused["transactions"] = (4, 5)

    limit(b"transaction-nodes", 3)
    tx = int(service.ask(START, b"\0")[:-1])
    allowed("transaction-nodes", 3, lambda i: service.ask(READ, HOME + b"/x%d\0" % i, tx))
    want(service.ask(END, b"F\0", tx), b"OK\0", "END")
    refused["transaction-nodes"] = (3, 4)

    limit(b"node-size", 100)
    want(service.ask(WRITE, HOME + b"/size\0" + b"x" * 100), b"OK\0", "a value of 100 bytes")
    for _ in range(2):
        want(service.ask(WRITE, HOME + b"/size\0" + b"x" * 101), b"ENOSPC\0", "a value of 101 bytes")
    refused["node-size"] = (100, 101)

    limit(b"node-permissions", 3)
    want(service.ask(SET_PERMS, HOME + b"/size\0n%d\0r1\0r2\0" % DOMID), b"OK\0", "3 permissions")
    for _ in range(2):
        want(service.ask(SET_PERMS, HOME + b"/size\0n%d\0r1\0r2\0r3\0" % DOMID), b"ENOSPC\0", "4 permissions")
    refused["node-permissions"] = (3, 4)

    # what is no count of its own is not refused by quota: the path is wrong
    limit(b"path-max", 50)
    want(service.ask(READ, b"x" * 50 + b"\0"), b"ENOENT\0", "a path of 50 bytes")
    want(service.ask(READ, b"x" * 51 + b"\0"), b"EINVAL\0", "a path of 51 bytes")
    limit(b"path-max", 0)

    # memory: nodes, watches and transactions are in it, so what is asked for is not a round number
    limit(b"node-size", 0)
    used = zero.ask(CONTROL, b"quota\0%d\0" % DOMID)
    used = int(re.search(rb"memory *: *(\d+)", used).group(1))
    limit(b"memory", used + 1000)
    want(service.ask(WRITE, HOME + b"/size\0" + b"x" * 1100), b"OK\0", "1000 bytes more, 1000 are left")
    want(service.ask(WRITE, HOME + b"/size\0" + b"x" * 1101), b"ENOSPC\0", "1001 bytes more")
    refused["memory"] = (used + 1000, used + 1001)

    want(zero.ask(CONTROL, b"check\0"), b"OK\0", "check")
    with open(sys.argv[2]) as f:
        lines = re.findall(r"domain (\d+): quota (\S+) is (\d+), asked for (\d+);", f.read())
    lines = sorted((int(d), name, int(l), int(v)) for d, name, l, v in lines)
    expected = sorted((DOMID, name, l, v) for name, (l, v) in refused.items())
    if lines != expected:
        sys.exit("the log has %r, expected %r" % (lines, expected))


main()
