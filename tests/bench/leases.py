#!/usr/bin/env python3
"""Measure what leases cost, at 10 to 65535 of them: none of it should grow with their number, but starting.

usage: leases.py BINARY [COUNT...]

The daemon finds a record of so many leases, kept ones, and goes on with them. Then some more are opened and closed by
knocks, each when the one before is done, and it is stopped. All files lie in a temporary folder (TMPDIR), on whatever
disk that is. Bytes are those the daemon writes without its messages, processor time is its own without that of the
commands, and the latency is what it takes from the line in the log to the message that the action has run: the record
is synced in between, `true` is started and has ended. The record is written whole now and then; a rewriting shows in
the bytes of an opening or closing that it falls into.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time

COUNTS = [10, 100, 800, 1000, 4096, 65535]
SAMPLES = 100
PATIENCE = 120

CONFIG = r"""{
    "file": "log", "state": "state", "max_keys": 65535,
    "ruleset": [
        {"name": "door", "filter": "^(\\S+) ", "sequence": ["opens$"], "timeout": 36000, "keep": true,
         "actions": ["true"], "revert": ["true {key}"]},
        {"name": "closer", "filter": "^(\\S+) ", "sequence": ["closes$"], "closes": "door"}
    ]
}
"""


def checksum(text):
    total = 0x811C9DC5
    for byte in text:
        total = (total ^ byte) * 0x01000193 & 0xFFFFFFFF
    return total


def record(count):
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        boot = file.read().strip()
    now_ms = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000
    lines = [b'{"version":2,"boot":"%s"}\n' % boot.encode()]
    for number in range(count):
        line = (
            f'{{"open":{number},"rule":"door","key":"k{number}","opened_ms":{now_ms},"deadline_ms":{now_ms + 36_000_000},'
            f'"end_s":{int(time.time()) + 36_000},"left_ms":36000000,"action_timeout_ms":30000,"actions":[["true"]],'
            f'"check":[],"revert":[["true","k{number}"]],'
        ).encode()
        lines.append(line + b'"sum":%d}\n' % checksum(line))
    return b"".join(lines)


class Daemon:
    def __init__(self, binary):
        self.process = subprocess.Popen([binary, "-c", "conf"], stderr=subprocess.PIPE, bufsize=0)
        self.rest = b""
        self.said = 0

    def wait_for(self, text):
        deadline = time.monotonic() + PATIENCE
        while True:
            *lines, self.rest = self.rest.split(b"\n")
            for index, line in enumerate(lines):
                if text in line:
                    self.rest = b"\n".join([*lines[index + 1 :], self.rest])
                    return
                if b"refused" in line or b"[ERROR]" in line:
                    sys.exit(line.decode())
            read = self.process.stderr.read(65536)
            if not read or time.monotonic() > deadline:
                sys.exit(f"no {text.decode()!r} was said")
            self.said += len(read)
            self.rest += read

    def written(self):
        with open(f"/proc/{self.process.pid}/io", encoding="ascii") as file:
            counts = dict(line.split(": ") for line in file)
        return int(counts["wchar"]) - self.said

    def processor_s(self):
        with open(f"/proc/{self.process.pid}/schedstat", encoding="ascii") as file:
            return int(file.read().split()[0]) / 1e9


def sample(daemon, log, keys, verb, said):
    """What each of the lines costs: bytes, microseconds of the processor, milliseconds until it is done."""
    bytes_before, processor_before = daemon.written(), daemon.processor_s()
    latencies = []
    for key in keys:
        begin = time.monotonic()
        log.write(f"{key} {verb}\n".encode())
        daemon.wait_for(f": {said} for {key}".encode())
        latencies.append((time.monotonic() - begin) * 1000)
    written = (daemon.written() - bytes_before) / len(keys)
    processor = (daemon.processor_s() - processor_before) / len(keys) * 1e6
    return f"{written:9.0f} {processor:8.0f} {statistics.median(latencies):8.2f} {max(latencies):8.2f}"


def measure(binary, count):
    samples = min(SAMPLES, count // 2)
    for name, content in ("conf", CONFIG.encode()), ("log", b""), ("state", record(count - samples)):
        with open(name, "wb") as file:
            file.write(content)
        os.chmod(name, 0o600)
    begin = time.monotonic()
    daemon = Daemon(binary)
    daemon.wait_for(b" rules")
    start_ms = (time.monotonic() - begin) * 1000
    with open("log", "ab", buffering=0) as log:
        keys = [f"new{number}" for number in range(samples)]
        opening = sample(daemon, log, keys, "opens", "opened")
        closing = sample(daemon, log, keys, "closes", "closed")
    begin = time.monotonic()
    daemon.process.terminate()
    daemon.wait_for(f"{count - samples} leases kept".encode())
    if daemon.process.wait() != 0:
        sys.exit("it did not end well")
    stop_ms = (time.monotonic() - begin) * 1000
    print(f"{count:6} {opening}  {closing} {start_ms:8.0f} {stop_ms:7.1f}", flush=True)


def main():
    binary = os.path.abspath(sys.argv[1])
    counts = [int(count) for count in sys.argv[2:]] or COUNTS
    print("           each opening                           each closing")
    print("leases     bytes   CPU us   ms med   ms max      bytes   CPU us   ms med   ms max start ms stop ms")
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for count in counts:
            measure(binary, count)


if __name__ == "__main__":
    main()
