"""What the daemon lives in: the logs it watches, and the commands it runs with the journal they keep."""

import os
import random
import shutil
import signal

from checker import Command
from driven import Tail, Wrong, now
from rules import SYNC

COMMAND = r"""#!/bin/sh
# RULE INDEX KEY SERIAL OPTION: notes what it is and when it ran, and behaves as the option says.
case $LOGKNOCK_EVENT-$2-$5 in
    open-1-hold-* | open-1-stuck) behave=hang ;;
    close-1-fail-* | close-1-shut-*)
        tries=0
        [ -e "tries-$4" ] && read -r tries < "tries-$4"
        echo $((tries + 1)) > "tries-$4"
        case $5 in
            fail-*) [ "$tries" -lt "${5#fail-}" ] && behave=fail ;;
            *) [ "$tries" -lt 1 ] && behave=hang ;;
        esac
        ;;
esac
case $LOGKNOCK_EVENT-$1 in
    open-wall) : > "wall/$3" ;;
    close-wall) rm -f "wall/$3" ;;
esac
key=$3
[ "$LOGKNOCK_RULE $LOGKNOCK_KEY" = "$1 $3" ] || key="$3-but-$LOGKNOCK_KEY-of-$LOGKNOCK_RULE"
read -r uptime _ < /proc/uptime
echo "begin $LOGKNOCK_EVENT $1 $2 $key $4 $5 $$ $uptime" >> journal
case $behave in hang) exec sleep 20 ;; esac
read -r uptime _ < /proc/uptime
echo "end $$ $uptime" >> journal
[ "$behave" != fail ]
"""


class Journal:
    """What the commands have noted. Those that would never end are killed here."""

    def __init__(self, blocked):
        self.tail = Tail("journal")
        self.recent = []
        self.new = []
        self.running = {}
        self.synced = set()
        self.doomed = []
        self.blocked = blocked

    def poll(self):
        for line in self.tail.lines():
            word, *words = line.split(" ")
            self.recent = self.recent[-30:] + [line]
            if word == "begin":
                self.begin(Command(*words))
            else:
                command = self.running.pop(int(words[0]))
                command.end = float(words[1])
                if command.rule.startswith(SYNC):
                    self.synced.add(command.serial)
        for at, command in [doomed for doomed in self.doomed if doomed[0] <= now()]:
            self.doomed.remove((at, command))
            # The daemon may know of it before we go on.
            command.end = now()
            os.kill(command.pid, [signal.SIGKILL, signal.SIGTERM][command.serial % 2])
            self.blocked.append((command.begin, now()))

    def begin(self, command):
        self.new.append(command)
        option, _, number = command.option.partition("-")
        if command.pid in self.running:
            raise Wrong(f"{self.running[command.pid]} has not ended, and {command} has its process id")
        if (option, command.event, command.index) == ("hold", "open", 1):
            self.doomed.append((command.begin + int(number) / 1000, command))
        elif option == "shut" and command.event == "close" and self.is_first(command):
            self.doomed.append((command.begin + int(number) / 1000, command))
        elif option == "stuck":
            self.blocked.append((command.begin, command.begin + 0.2))
        else:
            self.running[command.pid] = command

    def is_first(self, command):
        with open(f"tries-{command.serial}") as tries:
            return tries.read() == "1\n"

    def take(self):
        new, self.new = self.new, []
        return new


class Log:
    """One watched log and those who write it."""

    def __init__(self, name):
        self.name = name
        self.path = f"{name}.log"
        self.file = self.open()
        self.pending = []
        self.unseen = False  # nothing of the file that has the name now is known to have been read
        self.written = 0

    def open(self, path=None):
        return open(path or self.path, "ab", buffering=0)

    def write(self, lines, file=None, end="\n"):
        """In two pieces: a line is a line when its newline has come."""
        if not lines:
            return
        self.written += len(lines)
        data = ("\n".join(f"{l.source} {l.key} {l.port} #{l.serial} {l.option}" for l in lines) + end).encode()
        cut = len(data) * (lines[0].serial % 5) // 5
        earliest = now()
        for piece in (data[:cut], data[cut:]):
            (file or self.file).write(piece)
        self.pending += [(line, earliest) for line in lines]

    def noise(self, count):
        rng = random.Random(count)
        too_long = b"x" * 9000 + b" yard k1 p1 #1 -"
        kinds = [b"gate", b"gatekeeper k1 p1 #1 -", b" kernel: yard k1 p2", b"\xff\0\x1b[2J gate", too_long]
        weights = [100, 100, 100, 20, 0.05]
        for _ in range(0, count, 1000):
            lines = rng.choices(kinds, weights, k=min(count, 1000))
            self.written += len(lines)
            self.file.write(b"\n".join(lines) + b"\n")

    def rotate(self, kind, late):
        self.unseen = True
        old = self.file
        if kind.startswith(("rename", "create")):
            os.rename(self.path, self.path + ".1")
        elif kind.startswith("delete"):
            os.remove(self.path)
        if kind in ("rename", "delete"):
            self.file = self.open()
            self.write(late)
        elif kind == "replace":
            self.file = self.open(self.path + ".new")
            self.write(late)
            os.rename(self.path + ".new", self.path)
        elif kind == "create, late":
            self.file = self.open()
            self.write(late, old)
        else:
            # Who has lost the file still writes to it.
            self.write(late)
            self.file = self.open()
        old.close()

    def truncate(self, late):
        shutil.copyfile(self.path, self.path + ".1")
        os.truncate(self.path, 0)
        self.write(late)

    def leave(self):
        """Goes over to a new file, and returns the old one, which others may still write to."""
        self.unseen = True
        old = self.file
        os.rename(self.path, self.path + ".1")
        self.file = self.open()
        return old

    def trim(self, count, aside, late):
        """Keeps the last lines, as a script would, and goes on."""
        with open(self.path, "rb") as file:
            kept = b"".join(file.readlines()[-count:])
        if aside:
            with open(self.path + ".new", "wb") as file:
                file.write(kept)
            self.file.close()
            self.file = self.open(self.path + ".new")
            os.rename(self.path + ".new", self.path)
        else:
            with open(self.path, "wb", buffering=0) as file:
                file.write(kept)
        self.write(late)

    def ring(self, late, length=50):
        """Rewrites the whole file for every line, with as many lines as it may have."""
        with open(self.path, "rb") as file:
            lines = file.readlines()
        for line in late:
            self.written += 1
            lines.append(f"{line.source} {line.key} {line.port} #{line.serial} {line.option}\n".encode())
            lines = lines[-length:]
            self.pending.append((line, now()))
            with open(self.path, "wb", buffering=0) as file:
                file.write(b"".join(lines))
