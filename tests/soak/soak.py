#!/usr/bin/env -S python3 -B
"""Drives the daemon with everything that happens in years, for minutes, and checks every command it runs.

    soak.py BINARY [--seconds N] [--seed SEED] [--slack SECONDS]

Two logs are rotated in every way while many keys knock, strangers flood, the configuration changes, commands and the
daemon itself are killed and stopped. What is done follows from the seed (plan.py), what must come of it from a model
of its own (model.py); every command notes what it is and when it ran, and checker.py compares. The seed is printed
first; with it, the same things are done again, though not at the same instants.
"""

import argparse
import os
import re
import signal
import statistics
import sys
import time
from collections import Counter

from checker import Checker
from driven import Driven, Wrong, configure, enter_place, leave_place, now
from model import Model, Taken
from plan import SETTLED, Confirm, Firewall, Flood, Line, Lines, Pause, Plan, Reload, Restart, Rotate, Stop
from rules import SYNC, Setup
from world import COMMAND, Journal, Log

# More knocks than this are not left waiting: the daemon's queue has room for 256.
WAITING = 100
# A log that is truncated is longer than what is written to it before the daemon is seen to have read on.
TRUNCATED = 4096


class Soak:
    def __init__(self, binary, seed, slack):
        self.plan = Plan(seed)
        self.setup = Setup()
        self.model = Model(self.setup)
        self.checker = Checker(slack)
        with open("command", "w") as file:
            file.write(COMMAND)
        os.mkdir("wall")
        self.journal = Journal(self.checker.blocked)
        self.logs = {name: Log(name) for name in "ab"}
        self.daemon = Driven(binary, self.hear)
        self.syncs = set()
        self.sync = 0
        self.may_refuse = False
        self.stopped = False
        self.events = Counter()

    def start(self):
        configure(self.setup.config())
        self.daemon.start()

    def hear(self, line):
        if sync := re.search(r"knock by y(\d+)$", line):
            self.syncs.add(int(sync[1]))
        if re.search("may be lost|refused|dropping|panic", line) or "[ERROR]" in line and not self.may_refuse:
            raise Wrong(f"it said: {line}")

    def poll(self):
        self.journal.poll()
        self.daemon.poll()

    def wait(self, is_there, what):
        self.daemon.wait(is_there, what, self.poll)

    # Knowing where it stands.

    def confirm(self, *logs, file=None, end="\n"):
        """Waits until the daemon has read everything, and lets the model have it. `file` is where the last line goes, if
        that is not the log's newest file."""
        numbers = {}
        for log in logs:
            self.sync += 1
            numbers[log.name] = self.sync
            log.write([Line(f"{SYNC}-{log.name}", f"y{self.sync}", "-", self.sync, "-")], file, end)
        self.wait(lambda: self.syncs.issuperset(numbers.values()), "a line to be taken")
        latest = now()
        for log in logs:
            self.take_pending(log, latest)
            log.unseen = False

    def take_pending(self, log, latest, certain=True):
        for line, earliest in log.pending:
            for knock in self.model.take(Taken(line, earliest, latest)):
                self.checker.expect(knock._replace(certain=knock.certain and certain))
        log.pending = []

    def settle(self):
        """Waits until all knocks have run, and judges."""
        self.confirm(*self.logs.values())
        self.wait(lambda: self.journal.synced.issuperset((self.sync, self.sync - 1)), "the last commands")
        self.checker.judge(self.journal.take(), now())

    def settle_if_many(self):
        pending = sum(len(log.pending) for log in self.logs.values())
        if not self.stopped and self.checker.outstanding() + pending > WAITING:
            self.settle()

    # The steps.

    def do(self, step):
        self.events[type(step).__name__.lower()] += 1
        {
            Lines: self.do_lines,
            Flood: self.do_flood,
            Rotate: self.do_rotate,
            Pause: lambda pause: self.pause(pause.seconds),
            Confirm: lambda confirm: self.confirm(self.logs[confirm.log]),
            Reload: self.do_reload,
            Stop: self.do_stop,
            Firewall: self.do_firewall,
            Restart: self.do_restart,
        }[type(step)](step)
        self.settle_if_many()

    def pause(self, seconds):
        until = now() + seconds
        while now() < until:
            self.poll()
            time.sleep(min(0.01, max(0, until - now())))

    def do_lines(self, step):
        self.logs[step.log].write(step.lines)

    def do_flood(self, step):
        log = self.logs[step.log]
        log.noise(step.noise)
        log.write(step.lines)
        if not self.stopped:
            self.settle()

    def do_rotate(self, step):
        self.events[step.kind] += 1
        log = self.logs[step.log]
        if step.kind == "truncate":
            if os.path.getsize(log.path) < TRUNCATED:
                log.noise(TRUNCATED)
            self.confirm(log)
            log.truncate(step.late)
            self.confirm(log)
            return
        if step.kind in SETTLED:
            self.confirm(log)
            self.rewrite(log, step)
            self.confirm(log)
            return
        if log.unseen:
            # A file that came and went before anybody could look would be lost to everyone.
            self.confirm(log)
        log.rotate(step.kind, step.late)

    def rewrite(self, log, step):
        """What a log goes through between two lines that are known to have been read."""
        if step.kind == "ring":
            log.ring(step.late)
        elif step.kind.startswith("trim"):
            log.trim(1 + self.sync % 100, step.kind == "trim aside", step.late)
        else:
            old = log.leave()
            if step.kind == "tail":
                # The end of the file makes a line of it, when the daemon lets go of the file.
                log.noise(1)
                log.write(step.late, old)
                self.confirm(log, file=old, end="")
            else:
                # One writer has gone over to the new file, another has not.
                self.confirm(log)
                log.write(step.late, old)
                self.confirm(log, file=old)
            old.close()

    def do_all(self, steps):
        for step in steps:
            self.do(step)

    def do_reload(self, step):
        self.events[f"reload {step.kind}"] += 1
        self.settle()
        self.may_refuse = step.kind == "broken"
        if step.kind != "broken":
            self.setup = step.setup
        configure(step.broken or self.setup.config())
        refused = self.daemon.refused
        is_done = self.daemon.reload()
        if step.kind != "changed":
            # Nothing must change, so it does not matter when it happens.
            self.do_all(step.meanwhile)
        self.wait(is_done, "the reload")
        if self.may_refuse != (self.daemon.refused > refused):
            raise Wrong(f"the {step.kind} configuration was not treated as that")
        self.may_refuse = False
        configure(self.setup.config())
        if step.kind == "changed":
            self.model.reload(self.setup)
            self.do_all(step.meanwhile)

    def do_stop(self, step):
        self.settle()
        begin = now()
        self.daemon.signal("STOP")
        self.stopped = True
        self.do_all(step.meanwhile)
        self.pause(step.seconds)
        self.daemon.signal("CONT")
        self.stopped = False
        self.checker.blocked.append((begin, now()))
        self.settle()

    def do_firewall(self, _):
        """A firewall is started anew: its set is empty, and what was open is to be opened again without a knock."""
        self.settle()
        gone = self.checker.firewall_restarted()
        for entry in os.scandir("wall"):
            os.remove(entry.path)
        self.wait(self.daemon.reload(), "the reload")
        for lease in gone:
            path = f"wall/{lease.knock.key}"
            self.wait(lambda: os.path.exists(path) or now() > lease.due[0], f"{lease.knock} to be opened again")
        self.settle()
        self.checker.expect_reopened(now())

    def do_restart(self, step):
        self.events[f"restart {step.signal}"] += 1
        self.settle()
        self.close_those_that_fail()
        # What of these has been done when it is killed is not known, but their order is.
        self.logs["a"].write(step.lines)
        time.sleep(step.seconds)
        begin = now()
        self.daemon.end(step.signal, {"KILL": -signal.SIGKILL, "TERM": 0}[step.signal])
        self.wait_for_orphans()
        self.poll()
        self.take_pending(self.logs["a"], now(), certain=False)
        if step.signal == "TERM":
            self.checker.stopped(begin, now())
        self.checker.judge(self.journal.take(), now())
        if step.signal == "TERM" and self.checker.leases:
            raise Wrong(f"left open by SIGTERM: {[str(lease.knock) for lease in self.checker.leases.values()]}")
        self.checker.killed(begin)
        self.model.restart()
        self.start()
        self.checker.blocked.append((begin, now()))

    def close_those_that_fail(self):
        """A lease that is to fail would be tried again by the next daemon at another time."""
        while any(lease.failures or lease.tries for lease in self.checker.leases.values()):
            self.pause(0.1)
            self.settle()

    def wait_for_orphans(self):
        """A command that a killed daemon has left running belongs to the life before."""
        here = os.getcwd()
        while any(cwd == here for cwd in working_directories()):
            time.sleep(0.002)

    def finish(self):
        self.settle()
        while self.checker.leases:
            self.pause(0.1)
            self.settle()
        self.do_restart(Restart("TERM", [], 0))
        self.daemon.end("TERM", 0)

    def run(self, seconds):
        self.start()
        end = now() + seconds
        for step in self.plan.steps():
            self.do(step)
            if now() > end:
                break
        self.finish()


def working_directories():
    for entry in os.scandir("/proc"):
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                yield os.readlink(f"/proc/{entry.name}/cwd")
            except OSError:
                pass


def summary(soak):
    checker, counts = soak.checker, soak.checker.counts
    written = sum(log.written for log in soak.logs.values())
    late = sorted(checker.late) or [0]
    print(f"{written} lines written; {counts['knocks']} knocks checked, lost: 0")
    print(f"{counts['commands']} commands ran, none missing, none twice, none out of order")
    print(
        f"leases: {counts['closings']} closed on time, {counts['renewals']} renewals, {counts['retries']} closed at a "
        f"later try; idle before they began: median {statistics.median(late) * 1000:.0f} ms, 99 % within "
        f"{late[len(late) * 99 // 100] * 1000:.0f} ms, at most {late[-1] * 1000:.0f} ms"
    )
    print(f"{counts['undecided']} knocks came too close to a time limit or a kill to demand either")
    print(f"{counts['reopened']} leases opened again after the firewall was restarted")
    events = ", ".join(f"{count} {name}" for name, count in sorted(soak.events.items()))
    print(f"{sum(soak.events.values())} steps: {events}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--seconds", type=float, default=1800)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 2**32)
    parser.add_argument("--slack", type=float, default=2, help="how late a revert may begin")
    arguments = parser.parse_args()
    binary = os.path.abspath(arguments.binary)
    print(f"soak for {arguments.seconds:g} s, --seed {arguments.seed} replays this", flush=True)
    place = enter_place()
    soak = Soak(binary, arguments.seed, arguments.slack)
    try:
        soak.run(arguments.seconds)
    except Wrong as wrong:
        print(f"FAILED with --seed {arguments.seed}: {wrong}")
        print("the daemon's log:", *soak.daemon.recent, sep="\n  ")
        print("the commands:", *soak.journal.recent, sep="\n  ")
        print("everything is kept in", place)
        sys.exit(1)
    finally:
        soak.daemon.kill()
    summary(soak)
    leave_place(place)


if __name__ == "__main__":
    main()
