"""What lines mean, in the plainest way that can be written down. Nothing here is the daemon's code or method.

A line is known to have been taken between two instants: before it was written, and after something written behind it
had its effect. What follows certainly from that is demanded; what only may follow is allowed.
"""

from collections import OrderedDict, namedtuple

Taken = namedtuple("Taken", "line earliest latest")

# Clocks are read in milliseconds.
TICK = 0.002


class Knock(namedtuple("Knock", "rule key serial option earliest latest certain")):
    def __str__(self):
        times = f"({self.earliest:.3f} to {self.latest:.3f})"
        return f"knock {self.rule.name} {self.key} #{self.serial} {self.option} {times}"


class Progress:
    """How far each key has come with one sequence of one rule, for at most `max_keys` keys."""

    def __init__(self, rule, ports, max_keys):
        self.rule = rule
        self.ports = ports
        self.keys = OrderedDict()
        self.limit(max_keys)

    def limit(self, max_keys):
        self.max_keys = max_keys
        while len(self.keys) > max_keys:
            self.keys.popitem(last=False)

    def take(self, taken):
        """Whether the line completes the sequence: True, False, or None for perhaps."""
        key = taken.line.key
        advance = self.take_repeating if self.rule.repeats else self.take_window
        kept, complete = advance(self.keys.get(key), taken)
        self.keep(key, kept)
        return complete

    def keep(self, key, kept):
        if not kept:
            self.keys.pop(key, None)
            return
        if key not in self.keys and len(self.keys) >= self.max_keys:
            self.keys.popitem(last=False)
        self.keys[key] = kept
        self.keys.move_to_end(key)

    def take_window(self, window, taken):
        """The last lines of the key match the steps, one for one."""
        count = len(self.ports)
        window = ((window or []) + [taken])[-count:]
        ports = tuple(taken.line.port for taken in window)
        promising = any(ports[-done:] == self.ports[:done] for done in range(1, count))
        complete = ports == self.ports and self.in_time(window)
        return (window if promising else None), complete

    def in_time(self, window):
        if not self.rule.within:
            return True
        first, last = window[0], window[-1]
        if last.latest - first.earliest <= self.rule.within - TICK:
            return True
        return False if last.earliest - first.latest > self.rule.within + TICK else None

    def take_repeating(self, done, taken):
        """The lines match the steps, each step once or more often. `done` has the steps that may be done."""
        port = taken.line.port
        reached = {count for count in done or () if self.ports[count - 1] == port}
        reached |= {count + 1 for count in {0, *(done or ())} if self.ports[count] == port}
        if len(self.ports) in reached:
            return None, True
        return reached, False


class Model:
    """All rules."""

    def __init__(self, setup):
        self.spent = set()
        self.rules = []
        self.progress = {}
        self.reload(setup)

    def restart(self):
        """The daemon begins anew; what is spent stays spent."""
        for rule in self.rules:
            self.begin(rule)

    def reload(self, setup):
        former = {rule.name: rule for rule in self.rules}
        self.max_keys = setup.max_keys
        self.rules = setup.rules()
        for rule in self.rules:
            old = former.get(rule.name)
            if old and rule.matches_as(old) and self.progress[rule.name]:
                self.progress[rule.name].limit(self.max_keys)
            else:
                self.begin(rule)

    def begin(self, rule):
        unspent = [ports for ports in rule.sequences if ports not in self.spent]
        self.progress[rule.name] = Progress(rule, unspent[0], self.max_keys) if unspent else None

    def take(self, taken):
        """The knocks that a line completes, in the order of the rules."""
        line = taken.line
        for rule in self.rules:
            if rule.source != line.source or rule.ignore and line.option == rule.ignore:
                continue
            progress = self.progress[rule.name]
            complete = progress.take(taken) if progress else False
            if complete is False:
                continue
            if rule.one_time:
                self.spent.add(progress.ports)
                self.begin(rule)
            certain = complete is True
            yield Knock(rule, line.key, line.serial, line.option, taken.earliest, taken.latest, certain)
