#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Our Xenstore beside Debian's C xenstored and oxenstored (which serve without Xen under a stub).

Each round runs every scenario on every daemon, in changing order; what counts is the median over the
rounds, as a ratio to the faster one of the two. Ours keeps its journal, as it does for a real host.
"sockets" is a program that answers everything at once and keeps nothing: no daemon can be faster by much.
Several clients have one CPU and the daemon another; a single client shares one with it.

Prints a line "GOAL name: measured (goal ...) met|MISSED" each; status 1 if one is missed.
"""
import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

# scenario, argument, ours / faster stock one. None: only told
COMPARED = [
    ("closed-read", 0, 1.2), ("closed-write", 0, 1.2), ("deep-read", 0, 10), ("deep-write", 0, 10),
    ("many", 0, 2), ("mix", 0, 5), ("txn", 0, 3), ("dir", 0, 10), ("dir-closed", 0, None),
    ("dir-txn", 0, None), ("watchers", 400, 20), ("matching", 0, None),
]
# one client and the daemon take turns: on one CPU, as the scheduler would have it
ONE_CLIENT = ("closed-read", "closed-write", "deep-read", "deep-write", "watchers", "flat",
              "flat-deep", "remove", "fill", "churn")
STOCK = ["c", "ocaml"]
SAME = 0.8      # what is to be the same may be so much slower
CACHES = 0.4    # with nothing else to wait for: a large directory is not in the processor's caches


def options():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--seconds", type=float, default=0.4, help="per scenario, daemon and round")
    p.add_argument("--nodes", type=int, default=100000, help="of the big trees")
    p.add_argument("--only", default="", help="names of scenarios, with commas")
    p.add_argument("--ours-only", action="store_true")
    p.add_argument("--no-journal", action="store_true", help="ours keeps nothing for a restart")
    p.add_argument("--stock-daemon", required=True)
    p.add_argument("--stub", required=True)
    p.add_argument("--load", required=True)
    p.add_argument("--daemon", nargs="+", required=True)
    return p.parse_args()


class Daemon:
    def __init__(self, o, kind, domains=0, journal=True):
        self.kind, self.dir = kind, tempfile.mkdtemp(prefix="xenhost-bench-")
        self.log = open(self.dir + "/log", "w")
        if kind == "ours":
            self.socket = self.dir + "/xenstored.sock"
            command = o.daemon + ["--rundir", self.dir, "--exit-with-parent", "--host",
                                  "none" if o.no_journal or not journal else "idle:%d" % domains]
        else:
            self.socket = self.dir + "/socket"
            command = [o.load, self.socket, "0", "echo"] if kind == "sockets" else [o.stock_daemon, kind, self.dir, o.stub]
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log)
        self.wait()

    def wait(self):
        end = time.monotonic() + 60
        while True:
            try:
                with socket.socket(socket.AF_UNIX) as s:
                    s.connect(self.socket)
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > end:
                    sys.exit("%s does not serve:\n%s" % (self.kind, open(self.dir + "/log").read()))
                time.sleep(0.01)

    def cpu(self):
        with open("/proc/%d/stat" % self.process.pid) as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    # All of it: a journal's pages count in full, mapped or not, as they are memory for as long as it is kept.
    def memory(self):
        parts = {}
        with open("/proc/%d/smaps_rollup" % self.process.pid) as f:
            for line in f:
                words = line.split()
                if words[0].startswith("Pss"):
                    parts[words[0]] = int(words[1]) * 1024
        fds, blocks = "/proc/%d/fd/" % self.process.pid, {}
        for fd in os.listdir(fds):
            if os.readlink(fds + fd).startswith("/memfd:"):
                st = os.stat(fds + fd)
                blocks[st.st_ino] = st.st_blocks * 512
        return parts["Pss:"] - parts["Pss_Shmem:"] + sum(blocks.values())

    def put_on(self, cpu):
        os.sched_setaffinity(self.process.pid, {cpu})

    def end(self):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.dir)


def load(o, daemon, scenario, arg):
    """operations per second, how busy client and daemon were"""
    cpus = sorted(os.sched_getaffinity(0))
    daemon.put_on(cpus[0] if scenario in ONE_CLIENT or len(cpus) < 2 else cpus[1])
    cpu, begin = daemon.cpu(), time.monotonic()
    out = subprocess.run([o.load, daemon.socket, str(o.seconds), scenario, str(arg)], text=True,
                         stdout=subprocess.PIPE, preexec_fn=lambda: os.sched_setaffinity(0, {cpus[0]}))
    if out.returncode:
        sys.exit("%s: %s %s failed\n%s" % (daemon.kind, scenario, arg, open(daemon.dir + "/log").read()))
    rate, busy, lost, _ = out.stdout.split()
    return float(rate), float(busy), (daemon.cpu() - cpu) / (time.monotonic() - begin), int(lost)


missed = []


def goal(name, measured, wanted, text):
    met = measured >= wanted
    print("GOAL %s: %.2f (goal %g) %s    %s" % (name, measured, wanted, "met" if met else "MISSED", text))
    sys.stdout.flush()
    if not met:
        missed.append(name)


def number(v):
    return "%.2f M/s" % (v / 1e6) if v >= 1e6 else "%.1f k/s" % (v / 1e3) if v >= 1e4 else "%.0f /s" % v


def rounds(o, runs):
    """runs: {name: function that gives a rate}. The medians."""
    rates = {name: [] for name in runs}
    names = list(runs)
    for i in range(o.rounds):
        for name in names[i % len(names):] + names[:i % len(names)]:
            rates[name].append(runs[name]())
    return {name: statistics.median(r) for name, r in rates.items()}


def compare(o, kinds):
    daemons = {k: Daemon(o, k) for k in kinds}
    busy = {}

    def run(kind, scenario, arg):
        rate, client, server, lost = load(o, daemons[kind], scenario, arg)
        busy[kind] = "client %d%%, daemon %d%% busy" % (client * 100, server * 100)
        return rate

    for scenario, arg, wanted in COMPARED:
        if o.only and scenario not in o.only.split(","):
            continue
        names = [k for k in kinds if k != "sockets" or scenario not in ("watchers", "matching")]
        medians = rounds(o, {k: lambda k=k: run(k, scenario, arg) for k in names})
        text = ", ".join("%s %s" % (k, number(v)) for k, v in medians.items()) + "; " + busy["ours"]
        stock = [v for k, v in medians.items() if k in STOCK]
        if wanted and stock:
            goal(scenario, medians["ours"] / max(stock), wanted, text)
        else:
            ratio = "%.2f    " % (medians["ours"] / max(stock)) if stock else ""
            print("%s: %s%s" % (scenario, ratio, text), flush=True)
    for d in daemons.values():
        d.end()


def same(o, name, scenario, first, others, wanted):
    """Ours with several arguments: the first is what the others must be as fast as."""
    daemons = {a: Daemon(o, "ours", a if scenario == "introduced" else 0) for a in [first] + others}
    medians = rounds(o, {a: lambda a=a: load(o, daemons[a], scenario, a)[0] for a in daemons})
    text = ", ".join("%d: %s" % (a, number(v)) for a, v in medians.items())
    goal(name, min(medians[a] for a in others) / medians[first], wanted, text)
    for d in daemons.values():
        d.end()


def removal(o, kinds):
    daemons = {k: Daemon(o, k) for k in kinds}
    medians = rounds(o, {k: lambda k=k: load(o, daemons[k], "remove", o.nodes)[0] for k in kinds})
    stock = [v for k, v in medians.items() if k in STOCK]
    text = ", ".join("%s %s nodes" % (k, number(v)) for k, v in medians.items())
    if stock:
        goal("rm-tree", medians["ours"] / max(stock), 1, text)
    else:
        print("rm-tree: " + text)
    for d in daemons.values():
        d.end()


def at_most(daemon, work):
    """the most memory it has while that is done, and after it"""
    most, done = [0], threading.Event()

    def look():
        while not done.wait(0.01):
            most[0] = max(most[0], daemon.memory())

    looking = threading.Thread(target=look)
    looking.start()
    try:
        work()
    finally:
        done.set()
        looking.join()
    return max(most[0], daemon.memory())


def memory(o, kinds):
    """as it is when the store has been filled, and the most while every node is written again and again"""
    filled, most = {}, {}
    for k in kinds + ["ours without its journal"]:
        d = Daemon(o, k.split()[0], journal=k == "ours")
        before = d.memory()
        load(o, d, "fill", o.nodes)
        filled[k] = (d.memory() - before) / o.nodes
        most[k] = (at_most(d, lambda d=d: load(o, d, "churn", o.nodes)) - before) / o.nodes
        d.end()
    for name, sizes in (("memory-per-node", filled), ("memory-per-node-at-most", most)):
        text = ", ".join("%s %.0f bytes" % (k, v) for k, v in sizes.items())
        if "c" in sizes:
            goal(name, sizes["c"] / sizes["ours"], 1, text)
        else:
            print(name + ": " + text)


def main():
    o = options()
    kinds = ["ours"] + ([] if o.ours_only else STOCK)
    compare(o, kinds + ["sockets"])

    def wanted(name):
        return not o.only or name in o.only.split(",")

    if wanted("watchers"):
        same(o, "watchers-4000", "watchers", 400, [4000], SAME)
    if wanted("flat"):
        same(o, "flat-directories", "flat", 10, [1000, o.nodes], SAME)
        same(o, "flat-directories-32-deep", "flat-deep", 10, [1000, o.nodes], CACHES)
    if wanted("introduced") and not o.no_journal:
        same(o, "introduced-10000", "introduced", 0, [10000], SAME)
    if wanted("rm-tree"):
        removal(o, kinds)
    if wanted("memory"):
        memory(o, kinds)
    sys.exit(1 if missed else 0)


main()
