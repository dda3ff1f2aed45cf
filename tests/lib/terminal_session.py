#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs a program on a pseudo terminal: terminal_session.py ROWSxCOLUMNS SCRIPT COMMAND...

SCRIPT is a list of steps, separated by blanks: "wait:TEXT" until the program has printed TEXT since the last
step, "key:TEXT" types (with \\t, \\r, \\x1b), "size:ROWSxCOLUMNS" resizes, "signal:NAME" sends a signal
(signal-agent: to the process AGENT_PID). Prints
everything that the program printed, then a line of JSON: its exit status (negative: the signal that ended it), and
whether the terminal's modes are those of the beginning.
"""

import fcntl
import json
import os
import pty
import select
import signal
import struct
import sys
import termios
import time

PATIENCE = 30


def resize(fd, size):
    rows, columns = (int(part) for part in size.split("x"))
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


class Session:
    def __init__(self, size, command):
        self.master, self.slave = pty.openpty()
        resize(self.master, size)
        self.modes = termios.tcgetattr(self.slave)
        self.printed = b""
        self.seen = 0
        self.pid = os.fork()
        if self.pid == 0:
            # A shell has its background jobs ignore some of these, and nohup another.
            for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
                signal.signal(number, signal.SIG_DFL)
            os.setsid()
            fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0)
            for fd in (0, 1, 2):
                os.dup2(self.slave, fd)
            os.closerange(3, 100)
            os.execvp(command[0], command)

    def read(self, seconds):
        if select.select([self.master], [], [], seconds)[0]:
            try:
                self.printed += os.read(self.master, 65536)
            except OSError:
                pass

    def wait_for(self, text):
        end = time.monotonic() + PATIENCE
        while text not in self.printed[self.seen:]:
            if time.monotonic() > end:
                sys.exit(f"nothing printed {text!r}, but {self.printed[self.seen:]!r}")
            self.read(0.1)
        self.seen = len(self.printed)

    def step(self, step):
        verb, _, argument = step.partition(":")
        if verb == "wait":
            self.wait_for(argument.encode())
        elif verb == "key":
            os.write(self.master, argument.encode().decode("unicode_escape").encode())
        elif verb == "size":
            resize(self.master, argument)
            os.kill(self.pid, signal.SIGWINCH)
        elif verb == "signal-agent":
            os.kill(int(os.environ["AGENT_PID"]), signal.Signals[argument])
        elif verb == "signal":
            os.kill(self.pid, signal.Signals[argument])
        else:
            sys.exit(f"unknown step {step}")

    def end(self):
        end = time.monotonic() + PATIENCE
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.read(0.05)
            if pid:
                return os.waitstatus_to_exitcode(status)
            if time.monotonic() > end:
                os.kill(self.pid, signal.SIGKILL)
                sys.exit("it did not end")


def main():
    session = Session(sys.argv[1], sys.argv[3:])
    for step in sys.argv[2].split():
        session.step(step)
    status = session.end()
    same = termios.tcgetattr(session.slave) == session.modes
    sys.stdout.buffer.write(session.printed)
    print("\n" + json.dumps({"status": status, "modes restored": same}))


main()
