"""Holds what commands have run against what the model says: none missing, none twice, none out of order, in time."""

import itertools
from collections import deque

from driven import Wrong
from rules import SYNC, Setup

# Commands read the uptime, which is cut to hundredths.
EARLY = 0.011
RULES = {rule.name: rule for rule in Setup().rules()}


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
        self.gone = {}
        self.restarts = [0]
        self.blocked = deque(maxlen=1000)
        self.before = None
        self.overtaken = []
        self.history = deque(maxlen=5000)
        self.late = []
        self.counts = dict.fromkeys(["knocks", "commands", "renewals", "closings", "retries", "reopened", "undecided"], 0)

    def outstanding(self):
        return sum(map(len, self.expected.values()))

    def expect(self, knock):
        self.expected[knock.rule.log].append(knock)

    def judge(self, commands, now):
        """Judges what has run since the last time. Everything that was written has been taken and done."""
        for command in commands:
            self.counts["commands"] += 1
            self.check_alone(command)
            self.history.append(command)
            if command.event == "close":
                self.close(command)
            elif command.index == 1:
                self.open(RULES[command.rule].log, command)
        for lease in list(self.leases.values()):
            self.judge_lease(lease, now)
        # Whether it stood before the next opening, that one tells, which may not have begun.
        self.overtaken = [entry for entry in self.overtaken if not self.is_known(*entry)]

    def check_alone(self, command):
        before, self.before = self.before, command
        if before is None:
            return
        if before.end is None and before.option.partition("-")[0] not in ("hold", "shut", "stuck"):
            raise Wrong(f"{command} began while this was running: {before}")
        first, second = [(c.event, c.rule, c.serial, c.index) for c in (before, command)]
        has_second = first[0] == "open" and first[3] < RULES[first[1]].actions
        if has_second != (second[3] == 2) or has_second and second != (*first[:3], 2):
            raise Wrong(f"{command} does not follow {before}")

    def firewall_restarted(self):
        """What is open and has a check is gone: its actions are to run again, each once. Returns its leases."""
        leases = self.leases.values()
        is_gone = lambda lease: lease.knock.rule.check and not lease.tries
        self.gone = {(lease.knock.rule.name, lease.knock.serial): lease for lease in filter(is_gone, leases)}
        return list(self.gone.values())

    def expect_reopened(self, now):
        for lease in self.gone.values():
            if not lease.tries and now < lease.due[0]:
                raise Wrong(f"not opened again: {lease.knock}")
        self.gone = {}

    def open(self, log, command):
        # Lines that are waited for have serials of their own.
        if self.gone.pop((command.rule, command.serial), None):
            self.counts["reopened"] += 1
            return
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
            pause = 2 ** (len(lease.tries) - 1)
            failed = lease.tries[-1]
            self.in_time(command, failed.end + pause, self.noticed(failed) + pause)
        lease.tries.append(command)

    def noticed(self, ended):
        """When the daemon has known that a command had ended, at the latest: when it began another."""
        later = itertools.dropwhile(lambda command: command is not ended, self.history)
        next(later)
        return next(later).begin

    def judge_lease(self, lease, now):
        if not lease.tries:
            since = max(lease.due[1], self.history[-1].end or 0)
            if self.lateness(since, now) > self.slack:
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
        before = self.between(latest, command)
        late = self.longest_pause(latest, before, command.begin)
        if late > self.slack:
            raise Wrong(f"{command} waited {late:.3f} s for nothing, due from {earliest:.3f} to {latest:.3f}")
        self.check_precedence(self.begun(latest, before), command)
        return late

    def between(self, due, command):
        """The commands that began after `due` and before `command`."""
        earlier = itertools.takewhile(lambda other: other is not command, self.history)
        return [other for other in earlier if other.begin > due]

    def begun(self, due, before):
        """Those of the commands after `due` that the daemon has begun after it: of the first, the note that it has begun
        may only have come so late, if the one before had ended."""
        runs = [other for other in self.history if other.begin <= due][-1:]
        return before[1:] if not runs or (runs[0].end or runs[0].begin) <= due else before

    def longest_pause(self, due, commands, end):
        """The longest time after `due` in which nothing ran although it could. Commands run one at a time."""
        ends = [c.end or c.begin for c in self.history if c.begin <= due][-1:]
        ends += [c.end or c.begin for c in commands]
        begins = [c.begin for c in commands] + [end]
        return max(self.lateness(max(due, ended), begin) for ended, begin in zip([due, *ends][-len(begins) :], begins))

    def check_precedence(self, before, command):
        """Closing waits for what else closes, for its own rule's commands, and for what runs already; between closings
        one of those that open has its turn. But what has to be closed before a knock of the same key, or of another if
        the rule is exclusive, stands directly before that knock in the queue, and waits for all that came earlier."""
        others = []
        for other in before:
            if other.event == "close" or other.rule == command.rule:
                others = []
            elif other.index == 1:
                others.append(other)
        if len(others) > 1:
            self.overtaken.append((command, others))

    def is_known(self, command, others):
        """Whether another opening has begun: it is the one that the command had to come before, or would have been, had
        nobody killed."""
        later = itertools.dropwhile(lambda other: other is not command, self.history)
        following = next((other for other in later if other.event == "open"), None)
        if any(command.begin < at and (following is None or at < following.begin) for at in self.restarts):
            return True
        if following is None:
            return False
        if following.rule != command.rule or not (RULES[command.rule].exclusive or following.key == command.key):
            raise Wrong(f"{command} waited for {len(others)} that open for other rules, such as {others[-1]}")
        return True

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
        self.restarts.append(at)
        self.repeatable = {c.serial for c in self.closings if c.end is None or c.end > at - 1}
