#!/usr/bin/env python3
"""Lets one system call of the daemon fail, or kills it there; for every call of its paths, one run each.

    tests/faults/faults.py BINARY [--every N] [--jobs N] [--only WORD] [--verbose]

A *path* is a short life of the daemon: knocks that open, renew, close at their time, by another knock, by hand and at
a stop. It is played once to see which calls it makes (`strace`), then once for each call and each fault:

* an error that this call can answer with (ENOSPC for a write, EMFILE for an open …), once and from then on;
* an answer of 0 or less than was asked for, where a call may give it;
* SIGKILL instead of the call, and SIGKILL right after it.

Then the daemon is started once more, without a fault, and what must hold is looked at:

* nothing is left open past its deadline, and nothing is closed before it, but by a stop or by who asked for it;
* nothing is opened twice in a row (where the end of a command could not be learned, it may be);
* no one-time sequence works twice;
* the daemon ends when it is told to, within a time; it has not ended by itself without an error message, and never
  with an internal error.

Exit status: 0 all held, or there is no strace here, which is said; 1 something did not.
"""
import argparse
import collections
import concurrent.futures
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

LEASE = 0.4
LATE = 4.0          # how late the last thing may be closed: a busy machine
PATIENCE = 12.0     # for anything at all
GRACE = 8.0         # for the end after SIGTERM

MARK = """#!/bin/sh
case $LOGKNOCK_EVENT in
    open) : > "marks/$LOGKNOCK_RULE-$1" ;;
    close) rm -f "marks/$LOGKNOCK_RULE-$1" ;;
esac
read -r uptime rest < /proc/uptime
echo "$LOGKNOCK_EVENT $LOGKNOCK_RULE $1 $uptime" >> events
"""

# What a call may answer, beyond what is tried with each.
ERRORS = collections.defaultdict(lambda: ["EIO", "ENOMEM"], {
    "openat": ["ENOENT", "EACCES", "EMFILE", "ENOMEM", "EIO"],
    "open": ["ENOENT", "EACCES", "EMFILE", "ENOMEM", "EIO"],
    "read": ["EINTR", "EIO", "EAGAIN"],
    "pread64": ["EINTR", "EIO"],
    "write": ["EINTR", "EIO", "ENOSPC", "EAGAIN"],
    "fsync": ["EINTR", "EIO", "ENOSPC", "EINVAL"],
    "rename": ["EIO", "ENOSPC", "EACCES"],
    "unlink": ["EIO", "EACCES", "ENOENT"],
    "flock": ["EINTR", "EAGAIN", "ENOLCK"],
    "poll": ["EINTR", "ENOMEM", "EAGAIN"],
    "pipe2": ["EMFILE", "ENFILE"],
    "clone": ["EAGAIN", "ENOMEM"],
    "statx": ["ENOENT", "EACCES", "ENOSYS", "EIO"],
    "mmap": ["ENOMEM"], "mremap": ["ENOMEM"], "brk": [],
    "waitid": ["ECHILD"], "wait4": ["ECHILD", "EINTR"],
    "kill": ["EPERM", "ESRCH"],
    "signalfd4": ["EMFILE", "ENOSYS"],
    "inotify_init1": ["EMFILE", "ENOSYS"], "inotify_add_watch": ["ENOSPC", "EACCES", "ENOENT"],
    "rt_sigprocmask": ["EPERM"], "rt_sigaction": ["EPERM"],
    "getrandom": ["EAGAIN", "ENOSYS"],
    "clock_gettime": ["ENOSYS", "EPERM"],
    "lseek": ["EIO"], "ftruncate": ["EIO"], "prctl": ["EPERM"], "readlink": ["EACCES", "ENOENT"],
})
# Never injected: what the loader and libc do before main, and calls that cannot fail.
PASSED_OVER = {"execve", "exit_group", "exit", "munmap", "arch_prctl", "set_tid_address", "set_robust_list", "rseq",
               "mprotect", "prlimit64", "access", "newfstatat", "fstat", "brk", "close", "getpid", "geteuid", "umask",
               "fcntl", "rt_sigreturn", "restart_syscall", "vfork"}
ZERO = {"write", "read", "pwrite64"}
# After these nobody knows how a command has ended, so it may run again.
UNKNOWN_END = {"waitid", "wait4", "clone", "clone3", "read", "poll"}


def uptime():
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class World:
    """One life after the other in a folder of its own."""

    def __init__(self, binary, scenario, base):
        self.binary, self.scenario = binary, scenario
        self.dir = tempfile.mkdtemp(dir=base)
        os.mkdir(self.path("marks"))
        for name, text in (("mark", MARK), ("events", ""), ("log", ""), ("c.conf", scenario.config())):
            with open(self.path(name), "w", encoding="utf-8") as file:
                file.write(text)
        self.written = {}       # (rule, key) -> when its knocks were written
        self.renewed = {}       # (rule, key) -> when the last one was that is known to have moved a deadline
        self.stopped = []       # when somebody asked for an end, by whatever way
        self.process = None

    def path(self, name):
        return os.path.join(self.dir, name)

    def read(self, name):
        try:
            with open(self.path(name), encoding="utf-8", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def start(self, wrap=(), log="err"):
        self.log = log
        with open(self.path(log), "ab") as err:
            self.process = subprocess.Popen([*wrap, self.binary, "-c", "c.conf"], cwd=self.dir, stderr=err,
                                            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        self.until(lambda: re.search(r": \d+ rules?\n", self.read(log)))

    def alive(self):
        return self.process.poll() is None

    def until(self, condition, limit=PATIENCE):
        end = time.time() + limit
        while time.time() < end and self.alive():
            if condition():
                return True
            time.sleep(0.01)
        return condition()

    def daemon(self):
        """The daemon's own process id; strace stands between."""
        try:
            children = self.read_proc(self.process.pid, "task/%d/children" % self.process.pid).split()
            comm = self.read_proc(self.process.pid, "comm").strip()
        except OSError:
            return None
        return int(children[0]) if comm == "strace" and children else self.process.pid

    @staticmethod
    def read_proc(pid, name):
        with open(f"/proc/{pid}/{name}", encoding="utf-8") as file:
            return file.read()

    def signal(self, number):
        pid = self.daemon()
        if pid and self.alive():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def stop(self):
        self.stopped.append(uptime())
        self.signal(signal.SIGTERM)
        try:
            self.process.wait(GRACE)
            return True
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGKILL)
            self.process.kill()
            self.process.wait()
            return False

    def append(self, text):
        with open(self.path("log"), "a", encoding="utf-8") as file:
            file.write(text)

    def knock(self, rule, key):
        """Knocks and waits until something has come of it, or nothing comes."""
        before, told = self.count(rule, key), len(self.read(self.log))
        written = uptime()
        self.written.setdefault((rule, key), []).append(written)
        self.append(f"{rule} {key} one\n{rule} {key} two\n")
        done = lambda: self.count(rule, key) > before or f"for {key}" in self.read(self.log)[told:]
        self.until(done, 1.0)
        if f"renewed for {key}" in self.read(self.log)[told:]:
            self.renewed[rule, key] = written

    def count(self, rule, key):
        return sum(line.startswith(f"open {rule} {key} ") for line in self.read("events").splitlines())

    def marks(self):
        return sorted(os.listdir(self.path("marks")))

    def events(self):
        return [(e, r, k, float(t)) for e, r, k, t in (line.split() for line in self.read("events").splitlines())]


class Scenario:
    name = "plain"
    door = {}

    def rule(self, name, **more):
        return {"name": name, "filter": f"^{name} (\\S+) ", "sequence": [" one$", " two$"],
                "actions": ["sh mark {key}"], **more}

    def lease(self, name, **more):
        return self.rule(name, timeout=LEASE, revert=["sh mark {key}"], **more)

    def rules(self):
        return [self.lease("door", **self.door)]

    def config(self):
        return json.dumps({"file": "log", "state": "state", "ruleset": self.rules()})

    def play(self, world):
        world.knock("door", "a")
        world.knock("door", "a")
        world.knock("door", "b")
        world.until(lambda: not world.marks(), LEASE + 1)
        world.knock("door", "c")


class OneTime(Scenario):
    name = "one-time"

    def rules(self):
        once = self.lease("once")
        del once["sequence"]
        once["one_time"] = [[" one$", " two$"], [" three$", " four$"]]
        return [once]

    def play(self, world):
        world.knock("once", "a")
        world.signal(signal.SIGHUP)
        world.append("once a three\nonce a four\n")
        world.until(lambda: not world.marks(), LEASE + 1)


class Check(Scenario):
    name = "check"
    door = {"check": ["test -e marks/door-{key}"]}

    def play(self, world):
        super().play(world)
        world.signal(signal.SIGHUP)
        world.until(lambda: not world.marks(), LEASE + 1)


class Keep(Scenario):
    name = "keep"
    door = {"keep": True}


class Closes(Scenario):
    name = "closes"

    def rules(self):
        return [self.lease("door"), self.rule("shut", closes=["door"])]

    def play(self, world):
        world.knock("door", "a")
        world.stopped.append(uptime())
        world.knock("shut", "a")
        world.until(lambda: not world.marks(), 1)


class ByHand(Scenario):
    name = "by-hand"

    def play(self, world):
        world.knock("door", "a")
        world.stopped.append(uptime())
        by_hand = [world.binary, "-x", "-c", "c.conf", "a"]
        try:
            subprocess.run(by_hand, cwd=world.dir, capture_output=True, timeout=PATIENCE, check=False)
        except subprocess.TimeoutExpired:
            pass
        world.until(lambda: not world.marks(), 1)


class Many(Scenario):
    """Enough that the record is written anew as a whole."""
    name = "many"

    def play(self, world):
        keys = [f"k{number}" for number in range(12)]
        for key in keys:
            world.written["door", key] = [uptime()]
        world.append("".join(f"door {key} one\ndoor {key} two\n" for key in keys))
        world.until(lambda: len(world.marks()) == len(keys), 1)
        world.until(lambda: not world.marks(), LEASE + 1)


class Stubborn(Scenario):
    """A command that has to be ended, and a door that is to be closed meanwhile."""
    name = "stubborn"

    def rules(self):
        return [self.lease("door"), self.rule("long", actions=["sleep 20", "sh mark {key}"], action_timeout=0.2)]

    def play(self, world):
        world.knock("door", "a")
        world.knock("long", "a")
        world.until(lambda: world.count("long", "a") and "door-a" not in world.marks(), 6)


SCENARIOS = [Scenario(), OneTime(), Check(), Keep(), Closes(), ByHand(), Many(), Stubborn()]


def judge(world, fault, ended_in_time):
    """What does not hold, as sentences."""
    wrong = []
    if not ended_in_time:
        wrong.append("it does not end when it is told to")
    said = world.read("err") + world.read("again")
    if "internal error" in said or "panicked" in said:
        wrong.append("internal error")
    if world.died and not fault.kill and "[ERROR]" not in world.read("err"):
        wrong.append("it has ended by itself without a word")
    if [mark for mark in world.marks() if not mark.startswith(("long-", "shut-"))]:
        wrong.append(f"left open: {world.marks()}")
    # Nor does one know who has ended meanwhile, for want of memory say.
    told = world.read("err")
    died_running = world.died and told.rfind(": running ") > max(told.rfind("opened for "), told.rfind("closed for "))
    knows_end = fault.call not in UNKNOWN_END and not died_running
    last, opened, closed = {}, {}, {}
    runs = collections.Counter()
    for event, rule, key, when in world.events():
        place = (rule, key)
        if event == "open":
            runs[place] += 1
            # Who cannot learn which boot it is opens again what is to outlive one.
            knows_boot = world.scenario.name != "keep" or fault.call not in ("openat", "open")
            if last.get(place) == "open" and knows_end and knows_boot:
                wrong.append(f"opened twice in a row: {place}")
            if rule == "once" and runs[place] > world.allowed:
                wrong.append("a one-time sequence has worked twice")
        elif not any(stop - 0.05 <= when for stop in world.stopped):
            # It belongs to the first knock after the close before, or to one that came still later.
            knocks = [knock for knock in world.written.get(place, []) if knock > closed.get(place, 0)]
            due = min(knocks, default=0) + LEASE - 0.03
            moved = world.renewed.get(place, 0)
            if opened.get(place, moved) < moved < when:
                due = max(due, moved + LEASE - 0.03)
            if when < due:
                wrong.append(f"closed early by {due - when:.2f} s: {place}")
        (opened if event == "open" else closed)[place] = when
        last[place] = event
    return wrong


class Fault:
    def __init__(self, call="", inject="", kill=False, when=0):
        self.call, self.inject, self.kill, self.when = call, inject, kill, when

    def wrap(self):
        if not self.call:
            return ["strace", "-o", "trace"]
        what = f"inject={self.call}:{self.inject}:when={self.when}"
        return ["strace", "-o", "trace", "-e", f"trace={self.call}", "-e", what]

    def __str__(self):
        return f"{self.call} {self.inject} at {self.when}"


def play(binary, scenario, fault, base):
    """One life with a fault, one without; what does not hold, and the calls that were made."""
    world = World(binary, scenario, base)
    world.start(fault.wrap())
    if world.alive():
        scenario.play(world)
    world.died = not world.alive()
    ended = True if world.died else world.stop()
    # What a killed daemon has left running cannot be taken back.
    time.sleep(0.05)
    if scenario.name == "keep" and not world.died:
        # What is kept must not be closed because of the stop.
        world.stopped.pop()
    calls = world.read("trace")
    world.start(log="again")
    if scenario.name == "one-time":
        # The first works once for each of two sequences; whoever repeats either gets nothing.
        world.append("once a one\nonce a two\nonce a one\nonce a two\n")
        time.sleep(0.2)
        world.append("once a three\nonce a four\nonce a three\nonce a four\n")
    world.allowed = 2
    world.until(lambda: not world.marks() and '"rule"' not in leases(world), LEASE + LATE)
    time.sleep(0.02)
    ended = world.stop() and ended
    wrong = judge(world, fault, ended)
    if not wrong:
        shutil.rmtree(world.dir, ignore_errors=True)
    return wrong, calls, world.dir


def leases(world):
    """What `-l` has to say, as far as this program cares."""
    answer = subprocess.run([world.binary, "-l", "-c", "c.conf"], cwd=world.dir, capture_output=True, text=True,
                            check=False)
    return '"rule"' if re.search(r'"(door|once)"', answer.stdout) else ""


def faults_of(trace, every):
    counts = collections.Counter()
    own = collections.Counter()
    faults = []
    in_main = False
    for line in trace.splitlines():
        # The first thing that main does; before that the loader is at work.
        in_main = in_main or line.startswith("fcntl(0, F_GETFD")
        found = re.match(r"(\w+)\(", line)
        if not found:
            continue
        call = found[1]
        counts[call] += 1
        if not in_main or call in PASSED_OVER:
            continue
        own[call] += 1
        when = counts[call]
        for error in ERRORS[call]:
            faults.append(Fault(call, f"error={error}", when=when))
        if own[call] in (1, 2, 5):
            # A call that is always interrupted, and signals that can never be read, are no faults but other worlds.
            lasting = [error for error in ERRORS[call] if error != "EINTR" and call != "read"]
            faults += [Fault(call, f"error={error}", when=f"{when}+") for error in lasting]
        if call in ZERO:
            faults.append(Fault(call, "retval=0", when=when))
        faults.append(Fault(call, "signal=SIGKILL", True, when))
        faults.append(Fault(call, "retval=0:signal=SIGKILL", True, when))
    return faults[::every]


def main():
    options = argparse.ArgumentParser()
    options.add_argument("binary")
    options.add_argument("--every", type=int, default=1, help="only every so many faults")
    options.add_argument("--jobs", type=int, default=4 * (os.cpu_count() or 1))
    options.add_argument("--only", default="", help="the path of this name")
    options.add_argument("--verbose", action="store_true")
    options = options.parse_args()
    binary = os.path.abspath(options.binary)
    probe = ["strace", "-o", "/dev/null", "-e", "inject=getppid:retval=1", "true"]
    if not shutil.which("strace") or subprocess.run(probe, capture_output=True, check=False).returncode != 0:
        print("skipped: no strace that may trace and inject")
        return 0
    base = tempfile.mkdtemp(prefix="logknockd-faults-")
    failed = 0
    for scenario in SCENARIOS:
        if options.only not in ("", scenario.name):
            continue
        failed += run(binary, scenario, base, options)
    if failed == 0:
        shutil.rmtree(base, ignore_errors=True)
    return int(failed > 0)


def run(binary, scenario, base, options):
    known = World(binary, scenario, base)
    test = [binary, "-t", "-c", "c.conf"]
    if subprocess.run(test, cwd=known.dir, capture_output=True, check=False).returncode != 0:
        print(f"{scenario.name}: skipped, this program does not know it")
        return 0
    if scenario.name == "by-hand" and "-x" not in subprocess.run([binary, "-h"], capture_output=True, text=True,
                                                                 check=False).stdout:
        print(f"{scenario.name}: skipped, this program does not know it")
        return 0
    wrong, trace, place = play(binary, scenario, Fault(), base)
    if wrong:
        print(f"{scenario.name}: without any fault: {wrong} ({place})")
        return 1
    faults = faults_of(trace, options.every)
    if not faults:
        print(f"{scenario.name}: no system call was seen ({place})")
        return 1
    failed = 0
    begun = time.time()
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        results = pool.map(lambda fault: (fault, *play(binary, scenario, fault, base)), faults)
        for fault, wrong, _, place in results:
            if options.verbose:
                print(f"{scenario.name}: {fault}: {wrong or 'held'}", flush=True)
            if wrong:
                failed += 1
                print(f"{scenario.name}: {fault}: {'; '.join(wrong)} ({place})", flush=True)
    kills = sum(fault.kill for fault in faults)
    calls = len({fault.call for fault in faults})
    print(f"{scenario.name}: {len(faults) - kills} errors and {kills} kills in {calls} system calls, "
          f"{failed} did not hold ({time.time() - begun:.0f} s)", flush=True)
    return failed


sys.exit(main())
