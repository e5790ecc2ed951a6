# SPDX-License-Identifier: MIT
"""usage: xenstored-restart.py DIR KILLS PROGRAM...

Plays guests (GUESTS, two) on ring files (DIR/rings) of a daemon that is killed again and again while they work.
Each guest's answers must come once each and in order. A write is answered after its watch event.
"""
import mmap
import os
import random
import socket
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import xs  # noqa: E402

READ, WATCH, START, END, INTRODUCE, WRITE, MKDIR, SET_PERMS, EVENT, ERROR = (
    2, 4, 6, 7, 8, 11, 12, 14, 15, 16)
CONTROL, IS_INTRODUCED, RING, KEYS = 0, 17, 1024, 12
DIR, KILLS, PROGRAM = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
SEED = int(os.environ.get("SEED", random.randrange(1 << 32)))


class Daemon:
    def start(self):
        r, w = os.pipe()
        self.process = subprocess.Popen(
            PROGRAM + ["--host", "files:%s/rings" % DIR, "--rundir", DIR, "--exit-with-parent",
                       "--ready-fd", str(w)], pass_fds=[w], stderr=open(DIR + "/log", "a"))
        os.close(w)
        said = os.read(r, 16)
        os.close(r)
        if said != b"READY\n":
            sys.exit("the daemon said %r" % said)

    def kill(self):
        self.process.kill()
        self.process.wait()


class Zero:
    """Domain 0, on the socket."""
    def __init__(self):
        self.s = socket.socket(socket.AF_UNIX)
        self.s.settimeout(20)
        self.s.connect(DIR + "/xenstored.sock")

    def ask(self, kind, *strings):
        data = b"".join(x + b"\0" for x in strings)
        self.s.sendall(xs.message(kind, data))
        return xs.receive(self.s)[1]


class Bulk:
    """Writes so much that the journal is written anew under the guests; each value says which round it is of."""
    NODES, TIMES, SIZE = 400, 2, 3000

    def __init__(self):
        self.round = 0

    def value(self, i):
        return b"%d,%d " % (self.round, i) + b"x" * self.SIZE

    def write(self):
        zero = Zero()
        for _ in range(self.TIMES):
            self.round += 1
            zero.s.sendall(b"".join(xs.message(WRITE, b"/bulk/%d/n\0" % i + self.value(i))
                                    for i in range(self.NODES)))
            for i in range(self.NODES):
                if xs.receive(zero.s)[1] != b"OK\0":
                    sys.exit("bulk: a write was refused")

    def check(self):
        zero = Zero()
        zero.s.sendall(b"".join(xs.message(READ, b"/bulk/%d/n\0" % i) for i in range(self.NODES)))
        for i in range(self.NODES):
            if xs.receive(zero.s)[1] != self.value(i):
                sys.exit("bulk: node %d is not what was written" % i)


class Guest:
    def __init__(self, domid, rng):
        self.domid, self.rng = domid, rng
        self.buf, self.next, self.expect = b"", 1, 1
        self.evt = os.open(DIR + "/rings/evt", os.O_RDWR)   # so that no kick is lost in between
        self.events, self.values, self.eagain, self.answers = set(), {}, 0, 0
        home = b"/local/domain/%d" % domid
        with open("%s/rings/dom.%d" % (DIR, domid), "w") as f:
            f.write("run")
        self.kick(3)
        zero = Zero()
        if zero.ask(INTRODUCE, b"%d" % domid, b"1", b"1") != b"OK\0":
            sys.exit("cannot introduce")
        zero.ask(MKDIR, home + b"/data")
        for path in home, home + b"/data":
            zero.ask(SET_PERMS, path, b"n%d" % domid)
        f = os.open("%s/rings/ring.%d" % (DIR, domid), os.O_RDWR)
        self.page = mmap.mmap(f, 4096)
        self.words = memoryview(self.page).cast("I")
        os.close(f)
        self.want(self.call(WATCH, b"data\0token\0"), b"OK\0")

    def kick(self, port):
        os.write(self.evt, struct.pack("=I", port))

    def want(self, got, *expected):
        if got not in expected:
            raise SystemExit("domain %d: got %r, not one of %r" % (self.domid, got, expected))

    def index(self, n):     # req_cons, req_prod, rsp_cons, rsp_prod
        return self.words[512 + n]      # whole words: the daemon looks at the same time

    def put(self, data):
        end = time.monotonic() + 30
        while data:
            prod = self.index(1)
            n = min(RING - (prod - self.index(0)) % (1 << 32), len(data))
            for i in range(n):
                self.page[(prod + i) % RING] = data[i]
            self.words[512 + 1] = (prod + n) % (1 << 32)
            data = data[n:]
            if n:
                self.kick(1000 + self.domid)
            elif time.monotonic() > end:
                raise SystemExit("domain %d: no room for a request" % self.domid)
            else:
                time.sleep(0.0002)

    def send(self, kind, data, tx=0):
        m = struct.pack("=IIII", kind, self.next, tx, len(data)) + data
        self.next += 1
        cut = self.rng.choice([0, 0, self.rng.randrange(len(m))])
        if cut:                             # half a request, and the other half later
            self.put(m[:cut])
            time.sleep(self.rng.choice([0, 0.003]))
        self.put(m[cut:])

    def message(self):
        end = time.monotonic() + 30
        while True:
            if len(self.buf) >= 16:
                h = struct.unpack_from("=IIII", self.buf)
                if len(self.buf) >= 16 + h[3]:
                    data, self.buf = self.buf[16:16 + h[3]], self.buf[16 + h[3]:]
                    return h, data
            cons = self.index(2)
            n = (self.index(3) - cons) % (1 << 32)
            if n > RING:
                raise SystemExit("domain %d: %d bytes of answers" % (self.domid, n))
            self.buf += bytes(self.page[(2048 - RING) + (cons + i) % RING] for i in range(n))
            self.words[512 + 2] = (cons + n) % (1 << 32)
            if n:
                self.kick(1000 + self.domid)
            elif time.monotonic() > end:
                raise SystemExit("domain %d: no answer, indices %r" % (
                    self.domid, self.words[512:516].tolist()))
            else:
                time.sleep(0.0002)

    def answer(self):
        while True:
            h, data = self.message()
            if h[0] == EVENT:
                self.events.add(data.split(b"\0")[0])
                continue
            if h[1] != self.expect:
                raise SystemExit("domain %d: answer %d, expected %d" % (self.domid, h[1], self.expect))
            self.expect += 1
            self.answers += 1
            return data

    def call(self, kind, data, tx=0):
        self.send(kind, data, tx)
        return self.answer()

    def writes(self, nr):
        keys = self.rng.sample(range(KEYS), nr)
        value = b"%d" % self.next
        self.events.clear()
        for k in keys:
            self.send(WRITE, b"data/%d\0" % k + value)
        for k in keys:
            self.want(self.answer(), b"OK\0")
            if b"data/%d" % k not in self.events:
                raise SystemExit("domain %d: no event for data/%d" % (self.domid, k))
            self.values[k] = value

    def transaction(self):
        k, value = self.rng.randrange(KEYS), b"t%d" % self.next
        x = self.call(START, b"\0")
        self.want(x[-1:], b"\0")
        tx = int(x[:-1])
        self.want(self.call(WRITE, b"data/%d\0" % k + value, tx), b"OK\0")
        done = self.call(END, b"T\0", tx)
        self.want(done, b"OK\0", b"EAGAIN\0")
        if done == b"OK\0":
            self.values[k] = value
        else:
            self.eagain += 1

    def check(self):
        for k, value in self.values.items():
            self.want(self.call(READ, b"data/%d\0" % k), value)

    def work(self, stop):
        try:
            while not stop.is_set():
                self.writes(self.rng.randrange(1, 6))
                self.transaction()
                if self.rng.randrange(10) == 0:
                    self.check()
            self.check()
        except (SystemExit, Exception) as e:
            self.failed = repr(e)


def main():
    rng = random.Random(SEED)
    daemon = Daemon()
    daemon.start()
    nr = int(os.environ.get("GUESTS", 2))
    guests = [Guest(d, random.Random(SEED + d)) for d in range(5, 5 + nr)]
    stop = threading.Event()
    threads = [threading.Thread(target=g.work, args=[stop], daemon=True) for g in guests]
    for t in threads:
        t.start()
    bulk = Bulk()
    for _ in range(KILLS):
        bulk.write()
        before = [g.answers for g in guests]
        end = time.monotonic() + 30
        while any(g.answers < b + 5 for g, b in zip(guests, before)) and time.monotonic() < end:
            time.sleep(0.001)
            if any(hasattr(g, "failed") for g in guests):
                break
        time.sleep(rng.random() * 0.03)
        daemon.kill()
        daemon.start()
        bulk.check()
    stop.set()
    for t in threads:
        t.join()
    for g in guests:
        if hasattr(g, "failed"):
            sys.exit("%s (SEED=%d)" % (g.failed, SEED))
    if Zero().ask(CONTROL, b"check") != b"OK\0":
        sys.exit("check: the accounts do not agree")

    # a domain that goes while nobody looks
    zero = Zero()
    zero.ask(WATCH, b"@releaseDomain", b"t")
    daemon.kill()
    os.unlink(DIR + "/rings/dom.6")
    daemon.start()
    zero = Zero()
    if zero.ask(IS_INTRODUCED, b"6") != b"F\0" or zero.ask(IS_INTRODUCED, b"5") != b"T\0":
        sys.exit("domain 6 is still there, or domain 5 is not")
    if zero.ask(READ, b"/local/domain/6/data") != b"ENOENT\0":
        sys.exit("the nodes of domain 6 are still there")
    guests[0].check()
    daemon.kill()
    print("%d answers, %d transactions lost to kills" % (
        sum(g.answers for g in guests), sum(g.eagain for g in guests)))


main()
