#!/usr/bin/env python3
"""Measure the time from writing a log line to the start of the command it causes.

usage: latency.py BINARY [COUNT]        1000 lines unless told; needs cc

Runs the daemon in a temporary folder, on a log of its own and with one rule of a single step. The
clock is read just before a line is written, and again as the first thing the command does; both
read CLOCK_MONOTONIC, so the difference is what a user waits: the notification, the match, fork and
exec. The command is a static C program, for a shell or a dynamic loader would cost more than all
of that. It reports by a datagram, and the next line is not written before: every line finds the
daemon idle. Prints microseconds; a knock that is lost, doubled or belated is a failure.
"""

import os
import random
import socket
import subprocess
import sys
import tempfile
import time

READY_SECONDS = 10
KNOCK_SECONDS = 5

HELPER = r"""
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

int main(int argc, char **argv)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);

    struct sockaddr_un to = { .sun_family = AF_UNIX };
    if (argc != 3 || strlen(argv[1]) >= sizeof to.sun_path)
        return 2;
    strcpy(to.sun_path, argv[1]);
    char report[300];
    int size = snprintf(report, sizeof report, "%s %lld", argv[2],
                        (long long)now.tv_sec * 1000000000 + now.tv_nsec);
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    return sendto(fd, report, size, 0, (struct sockaddr *)&to, sizeof to) == size ? 0 : 1;
}
"""

CONFIG = r"""{
    "file": "%(folder)s/log",
    "ruleset": [
        {
            "name": "latency",
            "filter": "knock from (\\S+)",
            "sequence": ["knock from (\\S+)"],
            "actions": ["%(folder)s/helper %(folder)s/socket {key}"]
        }
    ]
}
"""


class Failure(Exception):
    pass


def write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def wait_until_ready(daemon, messages):
    deadline = time.monotonic() + READY_SECONDS
    while True:
        with open(messages, encoding="utf-8", errors="replace") as file:
            if "watching" in file.read():
                return
        if daemon.poll() is not None:
            raise Failure(f"the daemon ended with {daemon.returncode} before it was ready")
        if time.monotonic() > deadline:
            raise Failure(f'no message with "watching" within {READY_SECONDS} s')
        time.sleep(0.01)


def measure(log, reports, count):
    """Nanoseconds from line to command, once per line."""
    pauses = random.Random(1)
    latencies = []
    for number in range(count):
        key = f"{number}.example"
        line = f"knock from {key}\n".encode()
        # Irregular, not to march in step with a timer; long enough for the last child to be gone.
        time.sleep(pauses.uniform(0.002, 0.006))
        written_ns = time.monotonic_ns()
        os.write(log, line)
        try:
            reported, started_ns = reports.recv(300).decode().split()
        except TimeoutError:
            raise Failure(f"lost: line {number + 1}, no command in {KNOCK_SECONDS} s") from None
        if reported != key:
            raise Failure(f"line {number + 1}: expected a command for {key}, got {reported}")
        latencies.append(int(started_ns) - written_ns)
    reports.settimeout(0.2)
    try:
        raise Failure(f"a command too many, for {reports.recv(300).decode().split()[0]}")
    except TimeoutError:
        return latencies


def run(binary, count, folder):
    write(f"{folder}/helper.c", HELPER)
    write(f"{folder}/conf", CONFIG % {"folder": folder})
    helper = f"{folder}/helper"
    subprocess.run(["cc", "-O2", "-static", "-o", helper, f"{helper}.c"], check=True)
    log = os.open(f"{folder}/log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    reports = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    reports.bind(f"{folder}/socket")
    reports.settimeout(KNOCK_SECONDS)
    # To a file: a pipe nobody reads would in the end block the daemon.
    messages = f"{folder}/messages"
    try:
        with open(messages, "wb") as stderr:
            daemon = subprocess.Popen([binary, "-c", f"{folder}/conf"], stderr=stderr)
    except OSError as error:
        sys.exit(f"latency: {error}")
    try:
        wait_until_ready(daemon, messages)
        return measure(log, reports, count)
    except Failure as failure:
        with open(messages, encoding="utf-8", errors="replace") as file:
            tail = "".join(file.readlines()[-10:])
        sys.exit(f"latency: {failure}\nlast messages of the daemon:\n{tail}")
    finally:
        daemon.terminate()
        try:
            daemon.wait(10)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()
        reports.close()
        os.close(log)


def main():
    if len(sys.argv) not in (2, 3) or not "".join(sys.argv[2:] or "1").isdigit():
        sys.exit(__doc__)
    count = max(1, int(sys.argv[2])) if len(sys.argv) == 3 else 1000
    with tempfile.TemporaryDirectory(prefix="latency-") as folder:
        latencies = sorted(run(os.path.abspath(sys.argv[1]), count, folder))
    median, p99 = (latencies[min(count - 1, count * share // 100)] for share in (50, 99))
    print(
        f"knocks {count} median {median / 1000:.0f} us"
        f" p99 {p99 / 1000:.0f} us max {latencies[-1] / 1000:.0f} us"
    )


if __name__ == "__main__":
    main()
