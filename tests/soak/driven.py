"""The daemon as a program that is driven and listened to, in a directory of its own."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

# How long anything may take that is waited for.
PATIENCE = 60
# In memory, where the record of leases usually is, no other program's disk traffic makes reverts late.
MEMORY = "/dev/shm"
CONFIG = "logknockd.conf"


class Wrong(Exception):
    """A promise that was broken."""


def now():
    """The clock of the daemon and of /proc/uptime."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def enter_place():
    """Makes a directory and goes there. From now on nothing ends us without what is to be done at the end."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    parent = MEMORY if os.path.isdir(MEMORY) else None
    place = os.path.realpath(tempfile.mkdtemp(prefix="logknockd-", dir=parent))
    os.chdir(place)
    return place


def leave_place(place):
    os.chdir("/")
    shutil.rmtree(place)


def configure(text):
    """By another name first: the daemon never finds half of it."""
    with open("new.conf", "w") as file:
        file.write(text)
    os.chmod("new.conf", 0o644)
    os.rename("new.conf", CONFIG)


class Tail:
    """The lines that others append to a file."""

    def __init__(self, path):
        self.writer = open(path, "ab", buffering=0)
        self.reader = open(path, "rb", buffering=0)
        self.rest = b""

    def lines(self):
        *lines, self.rest = (self.rest + self.reader.read()).split(b"\n")
        return [line.decode(errors="replace") for line in lines]


class Driven:
    """A daemon. `hear` gets every line of its log."""

    def __init__(self, binary, hear):
        self.binary = binary
        self.hear = hear
        self.said = Tail("daemon.log")
        self.recent = []
        self.ready = self.refused = 0
        self.process = None

    def start(self):
        ready = self.ready
        arguments = [self.binary, "-c", CONFIG]
        self.process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stderr=self.said.writer)
        self.wait(lambda: self.ready > ready, "that it watches")

    def signal(self, name):
        self.process.send_signal(signal.Signals["SIG" + name])

    def reload(self):
        """Asks for it; returns what tells whether it is done."""
        before = self.ready + self.refused
        self.signal("HUP")
        return lambda: self.ready + self.refused > before

    def end(self, name, status):
        """Ends it by a signal and expects an exit status."""
        self.signal(name)
        process, self.process = self.process, None
        ended = process.wait(PATIENCE)
        if ended != status:
            raise Wrong(f"it ended with {ended}")

    def poll(self):
        for line in self.said.lines():
            self.recent = self.recent[-60:] + [line]
            self.ready += line.endswith((" rules", " rule"))
            self.refused += "reload failed" in line
            self.hear(line)
        if self.process and self.process.poll() is not None:
            raise Wrong(f"it ended by itself: {self.process.returncode}")

    def wait(self, is_there, what, poll=None):
        limit = now() + PATIENCE
        while True:
            (poll or self.poll)()
            if is_there():
                return
            if now() > limit:
                raise Wrong(f"waited in vain for {what}")
            time.sleep(0.002)

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()
