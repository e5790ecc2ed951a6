#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Plays systemd for the daemons, as the units of this tree say: sockets with their names, readiness, the
watchdog, the store of descriptors, the end by SIGTERM and a new start. Argument: the run directory."""
import array
import os
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import time

RUN, BUILD = os.environ["RUN"], os.environ["BUILDDIR"]
rundir = sys.argv[1]
PATIENCE = 120


def fail(what):
    sys.exit("FAILED: " + what)


def setting(unit, key):
    with open(f"{BUILD}/systemd/{unit}", encoding="utf-8") as f:
        found = re.findall(rf"^{key}=(.*)$", f.read(), re.M)
    return found


class Service:
    """A daemon with the sockets that its unit requires."""

    def __init__(self, name):
        self.name = name
        self.unit = f"xenhost-{name}.service"
        self.kept = {}
        self.sockets = []
        for unit in " ".join(setting(self.unit, "Requires")).split():
            seq, stream = setting(unit, "ListenSequentialPacket"), setting(unit, "ListenStream")
            path = re.sub(r"^.*/xenhost/", rundir + "/", (seq + stream)[0])
            os.makedirs(os.path.dirname(path), exist_ok=True)
            s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET if seq else socket.SOCK_STREAM)
            s.bind(path)
            s.listen(64)
            self.sockets.append(((setting(unit, "FileDescriptorName") or [unit])[0], s, path))
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify_path = f"{rundir}/notify-{name}"
        self.notify.bind(self.notify_path)
        self.process = None

    def start(self, watchdog_us=None):
        fds = [(name, s.fileno()) for name, s, _ in self.sockets] + list(self.kept.items())
        # out of the way of the numbers that they get
        high = [os.dup2(fd, 200 + i) for i, (_, fd) in enumerate(fds)]
        env = dict(os.environ, NOTIFY_SOCKET=self.notify_path, LISTEN_FDS=str(len(fds)),
                   LISTEN_FDNAMES=":".join(name for name, _ in fds))
        for line in setting(self.unit, "Environment"):
            env.update(v.split("=", 1) for v in line.split())
        if watchdog_us:
            env["WATCHDOG_USEC"] = str(watchdog_us)

        def place():
            for i, fd in enumerate(high):
                os.dup2(fd, 3 + i)
            os.environ["LISTEN_PID"] = str(os.getpid())

        # the shell knows its own process id, which exec keeps
        command = ["sh", "-c", 'LISTEN_PID=$$ exec "$@"', "sh", RUN, f"xenhost-{self.name}",
                   "--rundir", rundir, "--exit-with-parent"]
        self.process = subprocess.Popen(command, env=env, preexec_fn=place, close_fds=False)
        for fd in high:
            os.close(fd)
        self.expect("READY=1")

    def receive(self, timeout):
        if not select.select([self.notify], [], [], timeout)[0]:
            return None
        data, anc, _, _ = self.notify.recvmsg(4096, socket.CMSG_SPACE(4 * 256))
        fds = array.array("i")
        for level, kind, part in anc:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                fds.frombytes(part[:len(part) // 4 * 4])
        lines = data.decode().split("\n")
        name = next((l[7:] for l in lines if l.startswith("FDNAME=")), None)
        if "FDSTORE=1" in lines:
            self.kept[name] = fds[0]
        elif "FDSTOREREMOVE=1" in lines and name in self.kept:
            os.close(self.kept.pop(name))
        return lines

    def expect(self, line):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            ended = self.process.poll() is not None # all that it said is there then
            lines = self.receive(0 if ended else 1)
            if lines and line in lines:
                return
            if ended and lines is None:
                fail(f"{self.name} ended with status {self.process.returncode}, without {line}")
        fail(f"{self.name} does not say {line}")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.expect("STOPPING=1")
        if self.process.wait(PATIENCE):
            fail(f"{self.name} ended with status {self.process.returncode}")
        while self.receive(0):
            pass


def same_sockets(service):
    for _, s, path in service.sockets:
        if not os.path.exists(path):
            fail(f"{service.name} removed {path}, which is systemd's")
        peer = socket.socket(socket.AF_UNIX, s.type)
        peer.connect(path)
        peer.close()


def tool(*args):
    return subprocess.run([RUN, "xenhost", args[0], "--rundir", rundir, *args[1:]], check=True,
                          timeout=PATIENCE, capture_output=True, text=True).stdout


bridged, xenstored = Service("bridged"), Service("xenstored")
bridged.start(watchdog_us=200000)
bridged.expect("WATCHDOG=1")
bridged.expect("WATCHDOG=1")
if "tables" not in bridged.kept:
    fail("the tables of bridged are not kept")
xenstored.start(watchdog_us=200000)
xenstored.expect("WATCHDOG=1")
if "32001" not in tool("domain", "list"):
    fail("bridged does not serve the sockets that it was given")
tool("store", "write", "/kept", "over a restart")
before = tool("domain", "--json", "list")

# the order of an upgrade; nobody has to be asked whether it may
for service in (bridged, xenstored, bridged):
    service.stop()
    same_sockets(service)
    service.start()
if tool("domain", "--json", "list") != before:
    fail("the domains are others after the restart: " + before + tool("domain", "--json", "list"))
if tool("store", "read", "/kept").strip() != "over a restart":
    fail("the store lost a node in a restart")

# what comes while the daemon is away waits at the socket
bridged.stop()
asking = subprocess.Popen([RUN, "xenhost", "domain", "--rundir", rundir, "list"], stdout=subprocess.PIPE)
bridged.start()
if b"32000" not in asking.communicate(timeout=PATIENCE)[0] or asking.returncode:
    fail("who came while bridged was away got no answer")
xenstored.stop()
bridged.stop()
same_sockets(bridged)

# a socket that is not where its unit should have it
os.rename(bridged.sockets[0][2], bridged.sockets[0][2] + ".moved")
name, old, path = bridged.sockets[0]
wrong = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
wrong.bind(path)
wrong.listen(1)
bridged.sockets[0] = (name, wrong, path)
try:
    bridged.start()
except SystemExit:
    pass
else:
    fail("bridged takes a stream socket for its own")
