"""Holds what commands have run against what the model says: none missing, none twice, none out of order, in time."""

from collections import deque

from driven import Wrong
from rules import SYNC

# Commands read the uptime, which is cut to hundredths.
EARLY = 0.011


class Command:
    """One command as the journal tells of it."""

    def __init__(self, event, rule, index, key, serial, option, pid, begin):
        self.event, self.rule, self.key, self.option = event, rule, key, option
        self.index, self.serial, self.pid, self.begin = int(index), int(serial), int(pid), float(begin)
        self.end = None

    def __str__(self):
        end = "killed" if self.end is None else f"{self.end:.3f}"
        what = f"{self.event} {self.rule} command {self.index} {self.key} #{self.serial} {self.option}"
        return f"{what} ({self.begin:.2f} to {end})"


class Lease:
    def __init__(self, knock):
        self.knock = knock
        self.tries = []
        self.judged = False
        name, _, number = knock.option.partition("-")
        self.failures = {"fail": int(number or 0), "shut": 1}.get(name, 0)
        self.renew(knock)

    def renew(self, knock):
        self.due = knock.earliest + knock.rule.timeout, knock.latest + knock.rule.timeout

    def hasten(self, earliest, latest):
        self.due = min(self.due[0], earliest), min(self.due[1], latest)

    def is_done(self):
        return len(self.tries) > self.failures


class Checker:
    def __init__(self, slack):
        self.slack = slack
        self.expected = {"a": deque(), "b": deque()}
        self.leases = {}
        self.current = {}
        self.closings = deque(maxlen=100)
        self.repeatable = set()
        self.blocked = deque(maxlen=1000)
        self.before = None
        self.late = []
        self.counts = dict.fromkeys(["knocks", "commands", "renewals", "closings", "retries", "undecided"], 0)

    def outstanding(self):
        return sum(map(len, self.expected.values()))

    def expect(self, log, knock):
        self.expected[log].append(knock)

    def judge(self, commands, now):
        """Judges what has run since the last time. Everything that was written has been taken and done."""
        for command in commands:
            self.counts["commands"] += 1
            self.check_alone(command)
            if command.event == "close":
                self.close(command)
            elif command.index == 1:
                self.open("b" if command.rule in ("door", "solo", "once", "sync-b") else "a", command)
        for lease in list(self.leases.values()):
            self.judge_lease(lease, now)

    def check_alone(self, command):
        before, self.before = self.before, command
        if before is None:
            return
        if before.end is None and not before.option[:4] in ("hold", "shut", "stuc"):
            raise Wrong(f"{command} began while this was running: {before}")
        first, second = [(c.event, c.rule, c.serial, c.index) for c in (before, command)]
        has_second = first[0] == "open" and first[1] == "plain" and first[3] == 1
        if has_second != (second[3] == 2) or has_second and second != (*first[:3], 2):
            raise Wrong(f"{command} does not follow {before}")

    def open(self, log, command):
        while self.expected[log]:
            knock = self.expected[log].popleft()
            self.counts["knocks"] += not knock.rule.name.startswith(SYNC)
            if (knock.rule.name, knock.serial) != (command.rule, command.serial):
                self.absent(knock, command)
                continue
            if (knock.key, knock.option) != (command.key, command.option):
                raise Wrong(f"{command} was made from {knock}")
            if knock.rule.timeout:
                self.open_lease(knock, command)
            return
        raise Wrong(f"{command}: not expected, twice, or out of order")

    def absent(self, knock, command):
        """A knock whose actions have not run before `command`, which came after it: has it renewed a lease?"""
        if not knock.certain:
            self.counts["undecided"] += 1
            return
        lease = self.current.get((knock.rule.name, knock.key)) if knock.rule.timeout else None
        if lease is None or lease.tries and lease.tries[0].begin < knock.earliest - EARLY:
            raise Wrong(f"{knock} is missing before {command}")
        lease.renew(knock)
        self.counts["renewals"] += 1

    def open_lease(self, knock, command):
        name = knock.rule.name
        former = self.current.get((name, knock.key))
        if former and not former.tries:
            raise Wrong(f"{command}: its lease is open: {former.knock}")
        if former and former.due[0] > knock.latest:
            raise Wrong(f"{command} cannot follow so early: {former.knock}")
        for lease in self.leases.values():
            if knock.rule.exclusive and lease.knock.rule.name == name and not lease.judged:
                lease.hasten(knock.earliest, knock.latest)
                if not lease.tries:
                    raise Wrong(f"{command} while this is open: {lease.knock}")
        self.leases[knock.serial] = self.current[name, knock.key] = Lease(knock)

    def close(self, command):
        self.closings.append(command)
        lease = self.leases.get(command.serial)
        if lease is None or lease.is_done():
            if command.serial not in self.repeatable:
                raise Wrong(f"{command}: closes what is not open")
            self.repeatable.remove(command.serial)
            return
        if (lease.knock.rule.name, lease.knock.key) != (command.rule, command.key):
            raise Wrong(f"{command} does not close {lease.knock}")
        if lease.tries:
            self.counts["retries"] += 1
            due = lease.tries[-1].end + 2 ** (len(lease.tries) - 1)
            self.in_time(command, due - EARLY, due)
        lease.tries.append(command)

    def judge_lease(self, lease, now):
        if not lease.tries:
            if self.lateness(lease.due[1], now) > self.slack:
                raise Wrong(f"not closed by {now:.3f}, due at {lease.due[1]:.3f}: {lease.knock}")
            return
        if not lease.judged:
            lease.judged = True
            self.counts["closings"] += 1
            self.late.append(self.in_time(lease.tries[0], *lease.due))
        if lease.is_done():
            key = lease.knock.rule.name, lease.knock.key
            del self.leases[lease.knock.serial]
            if self.current.get(key) is lease:
                del self.current[key]

    def in_time(self, command, earliest, latest):
        if command.begin < earliest - EARLY:
            raise Wrong(f"{command} is early, due from {earliest:.3f} to {latest:.3f}")
        late = self.lateness(latest, command.begin)
        if late > self.slack:
            raise Wrong(f"{command} is late by {late:.3f} s, due from {earliest:.3f} to {latest:.3f}")
        return late

    def lateness(self, due, time):
        """How much later than `due`, without the time in which nothing could run."""
        blocked = sum(max(0, min(end, time) - max(begin, due)) for begin, end in self.blocked)
        return max(0, time - due - blocked)

    def stopped(self, begin, end):
        """The daemon has closed everything on its way out."""
        for lease in self.leases.values():
            if not lease.tries:
                lease.hasten(begin, end)

    def killed(self, at):
        """What was being closed then, or just before, may be closed again."""
        self.before = None
        self.repeatable = {c.serial for c in self.closings if c.end is None or c.end > at - 1}
