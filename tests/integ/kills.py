# SPDX-License-Identifier: MIT
"""Loopback guests and the service with their grants in use are killed at random points; nothing may be left over.

kills.py RUN BACKEND ROUNDS: a set of daemons, BACKEND (examples/upper-backend) as the service, guests with requests.
Each round kills the back end under way: what it had in use stays marked until its successor comes, which unmarks all
but what it uses itself. Then it kills the guest, removes its device as a toolstack would, and counts.
"""
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

RUN, BACKEND, ROUNDS = sys.argv[1], sys.argv[2], int(sys.argv[3])
PATIENCE = 120
rundir = tempfile.mkdtemp(prefix="xenhost-kills-")
log = open(os.path.join(rundir, "log"), "w+")
children = []


def start(*argv, ready=True):
    read, write = os.pipe()
    argv = list(argv)
    if ready:
        argv += ["--rundir", rundir, "--ready-fd", str(write), "--exit-with-parent"]
    p = subprocess.Popen([RUN] + argv, pass_fds=[write], stdout=log, stderr=log)
    os.close(write)
    children.append(p)
    if ready and os.read(read, 6) != b"READY\n":
        raise SystemExit(f"{argv[0]} did not get ready")
    os.close(read)
    return p


def end(p, sig=signal.SIGKILL):
    p.send_signal(sig)
    status = p.wait(PATIENCE)
    children.remove(p)
    if sig == signal.SIGTERM and status != 0:
        raise SystemExit(f"{p.args[1]} ended with status {status}")


def tool(*argv):
    out = subprocess.run([RUN, "xenhost", *argv], env={**os.environ, "XENHOST_RUNDIR": rundir},
                         stdout=subprocess.PIPE, check=False)
    return out.stdout.decode() if out.returncode == 0 else None


def ask(*argv):
    text = tool(*argv)
    return json.loads(text) if text else None


def wait_for(what, fn, show=lambda: ""):
    limit = time.monotonic() + PATIENCE
    while True:
        result = fn()
        if result:
            return result
        if time.monotonic() > limit:
            raise SystemExit(f"it does not come to this: {what}; {show()}")
        time.sleep(0.02)


def start_backend():
    return start(BACKEND, f"bridge:{rundir}/bridge/upper.sock", ready=False)


def marks():
    return [g for g in ask("grant", "--json", "list") or [] if g["to_name"] == "upper" and g["in_use"] != "no"]


def fds(p):
    return len(os.listdir(f"/proc/{p.pid}/fd"))


def maps(p):
    with open(f"/proc/{p.pid}/maps") as f:
        return sum("memfd:" in line for line in f)


def guests():
    return [d for d in ask("domain", "--json", "list") if d["kind"] == "guest"]


def remove_device():
    tool("store", "rm", "/local/domain/32010/backend/upper")
    for name in (tool("store", "ls", "/local/domain") or "").split():
        if name not in ("0", "32010"):
            tool("store", "rm", f"/local/domain/{name}")


def counts(daemons, backend):
    return {**{name: fds(p) for name, p in daemons.items()}, "backend": fds(backend), "memory": maps(backend),
            "ports": len(ask("evtchn", "--json", "list")), "guests": len(guests()), "marks": len(marks())}


def pause():
    time.sleep(random.choice((0, 0.001, 0.01, 0.05)) * random.random())


def one_round(daemons, backend):
    guest = start("xenhost-loopguest", "--guests", "2", "--ring", "upper")
    wait_for("rings are mapped", lambda: len({g["guest"] for g in marks()}) == 2)
    pause()
    end(backend)
    left = marks()
    if {g["guest"] for g in left} != {g["domid"] for g in guests()}:
        raise SystemExit("the marks of a killed back end went away by themselves")
    backend = start_backend()
    wait_for("only the rings are in use", lambda: len(marks()) == 2 and all(m["in_use"] == "writing" for m in marks()))
    pause()
    end(guest)
    wait_for("the guests are gone", lambda: not guests())
    remove_device()
    return backend, len(left) - 2


def main():
    daemons = {"bridged": start("xenhost-bridged", "--service", "upper=32010"),
               "xenstored": start("xenhost-xenstored", "--service", "upper=32010")}
    backend = start_backend()
    # the first round makes what is made once: watches, connections, tables
    backend, _ = one_round(daemons, backend)
    end(backend)
    backend = start_backend()
    wait_for("the back end is ready", lambda: ask("store", "--json", "ls", "/local/domain/32010") is not None)
    adopted = 0
    fewest = None
    for i in range(ROUNDS):
        backend, n = one_round(daemons, backend)
        adopted += n
        now = counts(daemons, backend)
        # daemons learn of it in their own time, so what was counted once may be too much, never too little
        fewest = {name: min(n, (fewest or now)[name]) for name, n in now.items()}
        if now != fewest:
            wait_for(f"nothing is left over in round {i}: {fewest}, at first {now}",
                     lambda: all(n <= fewest[name] for name, n in counts(daemons, backend).items()),
                     lambda: counts(daemons, backend))
    print(f"{ROUNDS} rounds: {adopted} data grants were left in use by killed back ends and settled; left over: nothing")
    end(backend)
    end(daemons["xenstored"], signal.SIGTERM)
    end(daemons["bridged"], signal.SIGTERM)


status = 1
try:
    main()
    status = 0
finally:
    for child in children:
        child.kill()
    if status:
        log.seek(0)
        print("".join(log.readlines()[-30:]))
    shutil.rmtree(rundir)
sys.exit(status)
