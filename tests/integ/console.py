#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# xenhost console on a terminal: shows what the guest's side says, sends the keys, leaves on ^] and puts the terminal
# back. The guest's side is this program, at the place where a vmm listens.
import os
import pty
import select
import socket
import subprocess
import sys
import termios

PATIENCE = 60


def fail(why):
    sys.exit("console.py: " + why)


def read_until(fd, text):
    seen = b""
    while text not in seen:
        if not select.select([fd], [], [], PATIENCE)[0]:
            fail("no %r within %d s, only %r" % (text, PATIENCE, seen))
        seen += os.read(fd, 4096)
    return seen


def is_raw(fd):
    return not termios.tcgetattr(fd)[3] & (termios.ICANON | termios.ECHO | termios.ISIG)


def main():
    run, rundir = sys.argv[1:]
    listener = socket.socket(socket.AF_UNIX)
    os.mkdir(rundir + "/console")
    listener.bind(rundir + "/console/a.sock")
    listener.listen()
    keys, terminal = pty.openpty()
    if is_raw(terminal):
        fail("the new terminal is raw")
    viewer = subprocess.Popen([run, "xenhost", "console", "--rundir", rundir, "a"], stdin=terminal,
                              stdout=terminal, stderr=terminal)
    guest, _ = listener.accept()
    guest.sendall(b"hello")
    read_until(keys, b"hello")
    os.write(keys, b"ab\x03")
    read_until(guest.fileno(), b"ab\x03")
    if not is_raw(terminal):
        fail("the terminal is not raw")
    os.write(keys, b"cd\x1def")
    if read_until(guest.fileno(), b"cd") != b"cd":
        fail("keys after ^] reached the guest")
    if viewer.wait(PATIENCE) != 0:
        fail("status %d after ^]" % viewer.returncode)
    if guest.recv(10) != b"":
        fail("something came after ^]")
    if is_raw(terminal):
        fail("the terminal is left raw")


main()
