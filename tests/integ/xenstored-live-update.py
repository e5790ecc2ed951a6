# SPDX-License-Identifier: MIT
"""usage: xenstored-live-update.py DIR PROGRAM: see xenstored-live-update.sh"""
import os
import socket
import subprocess
import sys

(CONTROL, DIRECTORY, READ, GET_PERMS, WATCH, UNWATCH, START, END, WRITE, MKDIR, RM, SET_PERMS, EVENT, ERROR) = (
    0, 1, 2, 3, 4, 5, 6, 7, 11, 12, 13, 14, 15, 16)
DIR, PROGRAM = sys.argv[1], sys.argv[2]
SUPPORT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support")
UPDATE = SUPPORT + "/live-update.py"
sys.path.insert(0, SUPPORT)
import xs  # noqa: E402


class Client:
    def __init__(self, path="xenstored.sock", bufs=None):
        self.s = socket.socket(socket.AF_UNIX)
        if bufs:
            self.s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, bufs)
        self.s.settimeout(60)
        self.s.connect(DIR + "/" + path)
        self.req = 0
        self.events = []

    def answer(self):
        while True:
            h, data = xs.receive(self.s)
            if h[0] != EVENT:
                return h, data
            self.events.append(data)

    def raw(self, kind, data, tx=0):
        self.req += 1
        self.s.sendall(xs.message(kind, data, tx, self.req))
        h, data = self.answer()
        want(h[1], self.req)
        return data

    def ask(self, kind, *strings, tx=0):
        return self.raw(kind, b"".join(x + b"\0" for x in strings), tx)

    def write(self, path, value, tx=0):
        want(self.raw(WRITE, path + b"\0" + value, tx), b"OK\0")

    def begin(self):
        return int(self.raw(START, b"\0")[:-1])


def want(got, *expected):
    if got not in expected:
        raise AssertionError("got %.300r, not one of %.300r" % (got, expected))


def update():
    subprocess.run([sys.executable, UPDATE, DIR + "/xenstored.sock", PROGRAM], check=True)


def connections():
    """They stay, on all sockets, with the rights that they had; new ones are taken."""
    zero, blk = Client(), Client("store/blkback.sock")
    zero.write(b"/t/secret", b"s")
    want(zero.ask(SET_PERMS, b"/t/secret", b"n0"), b"OK\0")
    update()
    want(zero.ask(READ, b"/t/secret"), b"s")
    want(blk.ask(READ, b"/t/secret"), b"EACCES\0")
    want(blk.ask(READ, b"domid"), b"32000")
    want(Client("store/blkback.sock").ask(READ, b"/t/secret"), b"EACCES\0")
    want(Client().ask(READ, b"/t/secret"), b"s")


def bytes_under_way():
    """A request of which any part was sent, and answers and events that nobody has read yet."""
    zero, idle = Client(), [Client() for _ in range(40)]
    slow = Client(bufs=4096)
    value = b"v" * 4000
    zero.write(b"/t/big", value)
    m = xs.message(READ, b"/t/big\0")
    for i, c in enumerate(idle):
        c.s.sendall(m[:i % (len(m) + 1)])
    nr = 1000                               # 4 MB of answers, and requests that must wait for them
    slow.s.setblocking(False)
    requests = b"".join(xs.message(READ, b"/t/big\0", req=i) for i in range(nr))
    sent = 0
    try:
        while sent < len(requests):
            sent += slow.s.send(requests[sent:])
    except BlockingIOError:
        pass
    slow.s.settimeout(60)
    want(zero.ask(READ, b"/t/big"), value)  # the daemon has been there
    update()
    for i, c in enumerate(idle):
        c.s.sendall(m[i % (len(m) + 1):])
        want(c.answer()[1], value)
    for i in range(nr):
        if sent < len(requests):            # what did not go in before
            sent += slow.s.send(requests[sent:sent + 4096])
        h, data = slow.answer()
        want((h[0], h[1]), (READ, i))
        want(data, value)


def watches():
    zero, w = Client(), Client()
    for token, depth in (b"any", None), (b"d0", b"0"), (b"d1", b"1"):
        want(w.ask(WATCH, b"/t/w", token, *([depth] if depth else [])), b"OK\0")
    want(w.ask(WATCH, b"rel", b"r"), b"OK\0")
    want(w.ask(WATCH, b"@releaseDomain", b"s"), b"OK\0")
    for _ in range(5 - len(w.events)):
        xs.receive(w.s)
    w.events.clear()
    update()
    zero.write(b"/t/w/x/y", b"1")
    zero.write(b"/t/w/x", b"1")
    zero.write(b"/local/domain/0/rel/a", b"1")
    want(w.ask(UNWATCH, b"/t/w", b"d1"), b"OK\0")
    want(w.ask(WATCH, b"/t/w", b"any"), b"EEXIST\0")
    zero.write(b"/t/w/x", b"2")
    want(w.ask(READ, b"/t/w/x"), b"2")
    want(sorted(w.events), sorted([b"/t/w/x/y\0any\0", b"/t/w/x\0any\0", b"/t/w/x\0d1\0", b"rel/a\0r\0",
                                   b"/t/w/x\0any\0"]))


def transactions():
    """What they have read and written stays theirs, and they still lose or win by what others do."""
    zero, other, w = Client(), Client(), Client()
    for d in b"/t/x", b"/t/y", b"/t/gone/below", b"/t/again/below":
        zero.write(d, b"old")
    want(w.ask(WATCH, b"/t", b"t"), b"OK\0")
    win, lose, lost, list_, free = (zero.begin() for _ in range(5))
    zero.write(b"/t/x", b"new", win)
    zero.write(b"/t/made/deep/er", b"made", win)
    want(zero.ask(SET_PERMS, b"/t/made", b"r7", b"w8", tx=win), b"ENOENT\0", b"OK\0")
    want(zero.ask(SET_PERMS, b"/t/made/deep", b"n0", b"r32757", tx=win), b"OK\0")
    want(zero.ask(RM, b"/t/gone", tx=win), b"OK\0")
    want(zero.ask(RM, b"/t/again", tx=win), b"OK\0")
    zero.write(b"/t/again/other", b"o", win)
    want(zero.ask(READ, b"/t/nothing", tx=win), b"ENOENT\0")
    want(zero.ask(READ, b"/t/y", tx=lose), b"old")
    zero.write(b"/t/lose", b"1", lose)
    zero.write(b"/t/y", b"1", lost)
    want(zero.ask(DIRECTORY, b"/t/again", tx=list_), b"below\0")
    other.write(b"/t/y", b"newer")      # lose and lost have lost now
    update()
    w.ask(READ, b"/t/x")
    w.events.clear()
    want(zero.ask(READ, b"/t/x", tx=win), b"new")
    want(zero.ask(READ, b"/t/x"), b"old")
    want(zero.ask(READ, b"/t/made/deep/er", tx=win), b"made")
    want(zero.ask(READ, b"/t/gone/below", tx=win), b"ENOENT\0")
    want(zero.ask(DIRECTORY, b"/t/again", tx=win), b"other\0")
    want(zero.ask(GET_PERMS, b"/t/made/deep", tx=win), b"n0\0r32757\0")
    update()                            # once more, with what was taken over
    want(zero.ask(READ, b"/t/gone/below"), b"old")
    want(zero.ask(END, b"T", tx=lose), b"EAGAIN\0")
    want(zero.ask(END, b"T", tx=lost), b"EAGAIN\0")
    want(w.ask(READ, b"/t/made/deep/er"), b"ENOENT\0")
    want(w.events, [])
    want(zero.ask(END, b"T", tx=win), b"OK\0")
    want(w.ask(READ, b"/t/made/deep/er"), b"made")
    want([e.split(b"\0")[0] for e in w.events],
         [b"/t/x", b"/t/made/deep/er", b"/t/made", b"/t/made/deep", b"/t/gone", b"/t/again", b"/t/again/other"],
         [b"/t/x", b"/t/made/deep/er", b"/t/made/deep", b"/t/gone", b"/t/again", b"/t/again/other"])
    want(zero.ask(DIRECTORY, b"/t/again"), b"other\0")
    want(zero.ask(READ, b"/t/gone/below"), b"ENOENT\0")
    want(zero.ask(GET_PERMS, b"/t/made/deep"), b"n0\0r32757\0")
    want(zero.ask(END, b"T", tx=list_), b"EAGAIN\0")   # win changed what it had listed
    want(zero.ask(END, b"T", tx=free), b"OK\0")
    ids = {win, lose, lost, list_, free}
    assert zero.begin() not in ids
    want(zero.ask(CONTROL, b"check"), b"OK\0")


def refusals():
    zero, other = Client(), Client()
    want(zero.ask(CONTROL, b"live-update", b"-s"), b"No live-update session active.\0")
    assert zero.ask(CONTROL, b"live-update", b"-f", b"/nonexistent").startswith(b"File not accessible")
    want(zero.ask(CONTROL, b"live-update", b"-f", PROGRAM.encode()), b"OK\0")
    assert b"Another" in other.ask(CONTROL, b"live-update", b"-f", PROGRAM.encode())
    want(other.ask(CONTROL, b"live-update", b"-s"), b"No live-update session active.\0")
    want(zero.ask(CONTROL, b"live-update", b"-a"), b"OK\0")
    # programs that cannot: one that says so, one that is none, one that gets arguments it does not know
    with open(DIR + "/none", "w") as f:
        f.write("no program\n")
    os.chmod(DIR + "/none", 0o755)
    for program, args in (b"/bin/false", None), (b"/bin/true", None), (DIR.encode() + b"/none", None), (PROGRAM.encode(), b"--bad"):
        want(zero.ask(CONTROL, b"live-update", b"-f", program), b"OK\0")
        if args:
            want(zero.ask(CONTROL, b"live-update", b"-c", args), b"OK\0")
        answer = b"BUSY\0"
        while answer == b"BUSY\0":
            answer = zero.ask(CONTROL, b"live-update", b"-s")
        assert program in answer, answer
        want(zero.ask(CONTROL, b"live-update", b"-s"), b"No live-update session active.\0")
    # one that can rehearse and cannot be started any more when it is time
    late = DIR + "/late"
    with open(late, "w") as f:
        f.write("#!/bin/sh\nrm -f %s\nexit 79\n" % late)
    os.chmod(late, 0o755)
    want(zero.ask(CONTROL, b"live-update", b"-f", late.encode()), b"OK\0")
    answer = b"BUSY\0"
    while answer == b"BUSY\0":
        answer = zero.ask(CONTROL, b"live-update", b"-s")
    assert late.encode() in answer, answer
    want(zero.ask(READ, b"/t/secret"), b"s")
    # a session ends with its connection; a request behind the one that starts waits for the new program
    want(other.ask(CONTROL, b"live-update", b"-f", PROGRAM.encode()), b"OK\0")
    other.s.close()
    want(zero.ask(CONTROL, b"live-update", b"-f", PROGRAM.encode()), b"OK\0")
    start = xs.message(CONTROL, b"live-update\0-s\0-t\0" + b"5\0-F\0", req=7)
    answer = b"BUSY\0"
    while answer == b"BUSY\0":
        zero.s.sendall(start + xs.message(READ, b"/t/secret\0", req=8))
        h, answer = zero.answer()
        want(h[:2], (CONTROL, 7))
        h, value = zero.answer()
        want((h[:2], value), ((READ, 8), b"s"))
    want(answer, b"OK\0")


for test in connections, bytes_under_way, watches, transactions, refusals:
    test()
