#!/usr/bin/env python3
"""Write a synthetic router log to standard output; the same seed, the same log.

usage: generate.py [COUNT [SEED]]        1,000,000 lines and seed 1 unless told

The lines are modelled on what an OpenWrt router with a logged wan zone writes: the kernel's
firewall lines as in tests/data/firewall.log, and what dnsmasq, dropbear, hostapd and others say in
between. About 18 % pass the filter "drop wan in: .* SRC=([0-9.]+) .* PROTO=UDP"; many others come
close, which is the work a filter has to do. Senders are taken from 198.18.0.0/15, the range set
aside for benchmarks: a crowd that is seen rarely, and a few that scan all day.

Two services are knocked for, each with four UDP ports. The steps of a knock lie up to 2,000 lines
apart, so dozens are in progress at any time; a third of them has two steps swapped or the last
one missing.
"""

import heapq
import random
import sys
import time

SERVICES = (1234, 2345, 1357, 2468), (8642, 5432, 7531, 4321)
FIRST_LINE_AT = 1795327200  # Sun Nov 22 06:00:00 2026
BOOT_US = 118_522_941
MEAN_GAP_US = 80_000
LINES_BETWEEN_KNOCKS = 400
LINES_BETWEEN_STEPS = 2000
BLOCK = 10_000

IN = "IN=wan OUT= MAC=02:6b:6e:6f:63:01:02:6b:6e:6f:63:fe:08:00"
IN6 = "IN=wan OUT= MAC=02:6b:6e:6f:63:01:02:6b:6e:6f:63:fe:86:dd"
FORWARD = "IN=wan OUT=br-lan MAC=02:6b:6e:6f:63:01:02:6b:6e:6f:63:fe:08:00"
TCP_PORTS = (22, 23, 80, 443, 445, 1433, 3306, 3389, 5555, 6379, 8080, 8443, 37215)
UDP_PORTS = (53, 123, 137, 161, 389, 500, 1900, 3478, 5060, 5353, 11211, 53413)
HOSTS = ("laptop", "phone", "printer", "tv", "thermostat", "tablet")


def any_address(rng):
    bits = rng.getrandbits(17)
    return f"198.{18 + (bits >> 16)}.{bits >> 8 & 255}.{bits & 255}"


class Lines:
    """One method per kind of line: what follows the time stamp."""

    def __init__(self, rng):
        self.rng = rng
        self.bits = rng.getrandbits
        self.stamp = ""
        self.scanners = [any_address(rng) for _ in range(300)]

    def sender(self):
        return self.rng.choice(self.scanners) if self.bits(1) else any_address(self.rng)

    def port(self, common):
        bits = self.bits(17)
        return common[bits % len(common)] if bits & 0x10000 else bits or 1

    def station(self):
        return "3a:5c:%02x:00:10:%02x" % divmod(self.bits(6), 8)

    def kernel(self, text):
        return f"kern.warn kernel: {self.stamp} {text} \n"

    def udp(self, prefix, sender, port, where=IN):
        bits = self.bits(48)
        size = 9 + (bits & 127)
        return self.kernel(
            f"{prefix}: {where} SRC={sender} DST=198.51.100.1 LEN={size + 20} TOS=0x00 PREC=0x00"
            f" TTL={40 + (bits >> 8 & 15)} ID={bits >> 16 & 65535} {'DF ' if bits & 128 else ''}"
            f"PROTO=UDP SPT={1024 + (bits >> 32) % 60000} DPT={port} LEN={size}"
        )

    def tcp(self, prefix, where=IN):
        bits = self.bits(48)
        return self.kernel(
            f"{prefix}: {where} SRC={self.sender()} DST=198.51.100.1 LEN=60 TOS=0x00 PREC=0x00"
            f" TTL={40 + (bits >> 8 & 15)} ID={bits >> 16 & 65535} {'DF ' if bits & 128 else ''}"
            f"PROTO=TCP SPT={1024 + (bits >> 32) % 60000} DPT={self.port(TCP_PORTS)}"
            f" WINDOW={64240 if bits & 64 else 1024} RES=0x00 SYN URGP=0"
        )

    def drop_udp(self):
        return self.udp("drop wan in", self.sender(), self.port(UDP_PORTS))

    def drop_tcp(self):
        return self.tcp("drop wan in")

    def drop_icmp(self):
        bits = self.bits(40)
        return self.kernel(
            f"drop wan in: {IN} SRC={self.sender()} DST=198.51.100.1 LEN=84 TOS=0x00 PREC=0x00"
            f" TTL={40 + (bits & 15)} ID={bits >> 8 & 65535} PROTO=ICMP TYPE=8 CODE=0"
            f" ID={bits >> 24} SEQ={bits >> 4 & 15}"
        )

    def drop_udp6(self):
        bits = self.bits(36)
        return self.kernel(
            f"drop wan in: {IN6} SRC=2001:0db8:0000:0000:0000:0000:0000:{bits & 65535:04x}"
            f" DST=2001:0db8:0000:0000:0000:0000:0000:0001 LEN=49 TC=0 HOPLIMIT=64"
            f" FLOWLBL={bits >> 16} PROTO=UDP SPT={1024 + (bits & 32767)}"
            f" DPT={self.port(UDP_PORTS)} LEN=9"
        )

    def reject_tcp(self):
        return self.tcp("reject wan in")

    def reject_udp(self):
        return self.udp("reject wan in", self.sender(), self.port(UDP_PORTS))

    def drop_forward(self):
        return self.tcp("drop wan forward", FORWARD)

    def dhcp(self):
        bits, station = self.bits(6), self.station()
        host = HOSTS[bits % len(HOSTS)]
        return (
            f"daemon.info dnsmasq-dhcp[1]: DHCPACK(br-lan) 192.168.1.{100 + bits}"
            f" {station} {host}\n"
        )

    def dns(self):
        bits = self.bits(12)
        return (
            f"daemon.info dnsmasq[1]: {bits} 192.168.1.{100 + (bits & 63)}/{20000 + bits}"
            f" query[{'AAAA' if bits & 64 else 'A'}] host{bits >> 7}.example.org"
            f" from 192.168.1.{100 + (bits & 63)}\n"
        )

    def ssh(self):
        bits = self.bits(28)
        return (
            f"authpriv.warn dropbear[{2000 + (bits >> 16)}]: Bad password attempt for 'root'"
            f" from {self.sender()}:{1024 + (bits & 32767)}\n"
        )

    def ssh_exit(self):
        bits = self.bits(28)
        return (
            f"authpriv.info dropbear[{2000 + (bits >> 16)}]: Exit before auth from"
            f" <{self.sender()}:{1024 + (bits & 32767)}>: Max auth tries reached - user 'root'\n"
        )

    def wifi(self):
        bits = self.bits(4)
        what = ("authenticated", "associated (aid 1)", "disassociated", "deauthenticated")[bits & 3]
        ap = f"phy{bits >> 3}-ap0"
        return f"daemon.info hostapd: {ap}: STA {self.station()} IEEE 802.11: {what}\n"

    def cron(self):
        pid = 3000 + self.bits(14)
        return f"cron.err crond[1832]: USER root pid {pid} cmd /usr/sbin/check-link wan\n"


WEIGHTS = {
    Lines.drop_udp: 172,
    Lines.drop_tcp: 180,
    Lines.drop_icmp: 25,
    Lines.drop_udp6: 20,
    Lines.reject_tcp: 50,
    Lines.reject_udp: 25,
    Lines.drop_forward: 20,
    Lines.dns: 300,
    Lines.dhcp: 70,
    Lines.ssh: 50,
    Lines.ssh_exit: 30,
    Lines.wifi: 50,
    Lines.cron: 8,
}


def knocks(rng):
    """The steps of all knocks, endlessly: (line it is due at, sender, port)."""
    due = []
    start = 0
    while True:
        start += 1 + int(rng.expovariate(1 / LINES_BETWEEN_KNOCKS))
        ports = list(rng.choice(SERVICES))
        flaw = rng.randrange(6)
        if flaw == 0:
            ports.pop()
        elif flaw == 1:
            swapped = rng.randrange(3)
            ports[swapped : swapped + 2] = reversed(ports[swapped : swapped + 2])
        sender, number = any_address(rng), start
        for port in ports:
            heapq.heappush(due, (number, sender, port))
            number += 1 + rng.randrange(LINES_BETWEEN_STEPS)
        # No knock that starts later has a step before this start.
        while due[0][0] < start:
            yield heapq.heappop(due)


def generate(count, seed, write):
    rng = random.Random(seed)
    lines = Lines(rng)
    steps = knocks(random.Random(seed))
    due, sender, port = next(steps)
    kinds, weights = list(WEIGHTS), list(WEIGHTS.values())
    now_us, second, clock = 0, -1, ""
    for first in range(0, count, BLOCK):
        size = min(BLOCK, count - first)
        block = []
        for number, kind in enumerate(rng.choices(kinds, weights, k=size), first):
            now_us += 1 + int(rng.random() * 2 * MEAN_GAP_US)
            if now_us // 1_000_000 != second:
                second = now_us // 1_000_000
                clock = time.asctime(time.gmtime(FIRST_LINE_AT + second))
            lines.stamp = "[%5d.%06d]" % divmod(BOOT_US + now_us, 1_000_000)
            if number >= due:
                text = lines.udp("drop wan in", sender, port)
                due, sender, port = next(steps)
            else:
                text = kind(lines)
            block.append(f"{clock} {text}")
        write("".join(block))


def main():
    if len(sys.argv) > 3 or not all(argument.isdigit() for argument in sys.argv[1:]):
        sys.exit(__doc__)
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    try:
        generate(count, seed, sys.stdout.write)
    except BrokenPipeError:
        sys.stderr.close()  # `generate.py | head` is no failure


if __name__ == "__main__":
    main()
