#!/usr/bin/env -S python3 -B
"""The soak is worth what its checker notices: every kind of wrong is shown to it once."""

import unittest

from checker import RULES, Checker, Command
from driven import Wrong
from model import Knock, Model, Taken
from plan import Line, Plan
from rules import Setup


def knock(rule, serial, time=10, key="k", certain=True):
    return Knock(RULES[rule], key, serial, "-", time, time + 0.1, certain)


def command(rule, serial, time, event="open", key="k", index=1):
    command = Command(event, rule, index, key, serial, "-", 1, time)
    command.end = command.begin + 0.01
    return command


def judge(knocks, commands, now=100):
    checker = Checker(slack=1)
    for taken in knocks:
        checker.expect(taken)
    checker.judge(commands, now)
    return checker.counts


class CheckerTest(unittest.TestCase):
    def wrong(self, knocks, commands, now=100):
        with self.assertRaises(Wrong):
            judge(knocks, commands, now)

    def test_what_is_right_passes(self):
        knocks = [knock("double", 1), knock("plain", 2), knock("tcp", 3)]
        commands = [command("double", 1, 10), command("plain", 2, 10.1), command("plain", 2, 10.2, index=2)]
        self.assertEqual(judge(knocks, [*commands, command("tcp", 3, 10.3)])["knocks"], 3)

    def test_a_missing_command_is_noticed(self):
        self.wrong([knock("double", 1), knock("double", 2)], [command("double", 2, 10)])
        self.wrong([knock("plain", 1), knock("double", 2)], [command("plain", 1, 10), command("double", 2, 10.1)])

    def test_a_command_that_runs_twice_is_noticed(self):
        self.wrong([knock("double", 1)], [command("double", 1, 10), command("double", 1, 10.1)])

    def test_commands_out_of_order_are_noticed(self):
        knocks = [knock("double", 1), knock("double", 2)]
        self.wrong(knocks, [command("double", 2, 10), command("double", 1, 10.1)])

    def test_a_command_with_the_values_of_another_knock_is_noticed(self):
        self.wrong([knock("double", 1)], [command("double", 1, 10, key="other")])

    def test_two_commands_at_a_time_are_noticed(self):
        commands = [command("double", 1, 10), command("double", 2, 10)]
        commands[0].end = None
        self.wrong([knock("double", 1), knock("double", 2)], commands)

    def test_a_lease_must_close_once_and_on_time(self):
        door = [knock("door", 1)]
        opened = command("door", 1, 10)
        self.assertEqual(judge(door, [opened, command("door", 1, 11.5, "close")])["closings"], 1)
        self.wrong(door, [opened, command("door", 1, 11.4, "close")])
        self.wrong(door, [opened, command("door", 1, 12.7, "close")])
        self.wrong(door, [opened, *(command("door", 1, time, "close") for time in (11.5, 11.6))])
        self.wrong(door, [opened], now=13)

    def test_a_closing_command_waits_only_while_others_run_that_come_first(self):
        knocks = [knock("door", 1), *(knock("double", serial) for serial in range(2, 9))]
        opened = command("door", 1, 10)
        others = [command("double", serial, 11.55 + serial / 10) for serial in range(2, 9)]
        close = command("door", 1, 12.5, "close")
        following = command("double", 9, 12.6)
        self.wrong([*knocks, knock("double", 9)], [opened, *others, close, following])
        # As long as nothing follows it may have had to make way.
        judge(knocks, [opened, *others, close])
        others[0].begin, others[0].end = 11.5, 13
        judge(knocks[:2], [opened, others[0], command("door", 1, 13.5, "close")])

    def test_only_what_stands_before_the_next_opening_makes_way(self):
        others = [knock("double", serial, 11.6) for serial in (2, 3, 6)]
        knocks = [knock("door", 1), *others, knock("door", 4, 11.6)]
        opened = command("door", 1, 10)
        before = [command("double", serial, 11.6 + serial / 20) for serial in (2, 3, 6)]
        close = command("door", 1, 12.1, "close")
        again = command("door", 4, 12.2)
        end = command("door", 4, 13.2, "close")
        judge(knocks, [opened, *before, close, again, end])
        between = command("double", 5, 12.15)
        self.wrong([*knocks[:4], knock("double", 5, 11.6), knocks[4]], [opened, *before, close, between, again, end])

    def test_what_a_firewall_has_lost_is_opened_again_once(self):
        def restarted(commands):
            checker = Checker(slack=1)
            checker.expect(knock("wall", 1))
            checker.judge([command("wall", 1, 10)], 11)
            checker.firewall_restarted()
            checker.judge(commands, 12)
            checker.expect_reopened(12)

        restarted([command("wall", 1, 11.5)])
        for commands in [[], [command("wall", 1, 11.5), command("wall", 1, 11.6)]]:
            with self.assertRaises(Wrong):
                restarted(commands)

    def test_a_renewal_moves_the_end_and_runs_nothing(self):
        knocks = [knock("door", 1), knock("door", 2, 11), knock("solo", 3, 11)]
        commands = [command("door", 1, 10), command("solo", 3, 11.1)]
        closings = [command("door", 1, 12.5, "close"), command("solo", 3, 13, "close")]
        self.assertEqual(judge(knocks, commands + closings)["renewals"], 1)
        early = [command("door", 1, 11.6, "close"), closings[1]]
        self.wrong(knocks, commands + early)
        self.wrong(knocks, [commands[0], command("door", 2, 11), commands[1], *closings])

    def test_an_exclusive_lease_ends_before_the_next_begins(self):
        knocks = [knock("solo", 1), knock("solo", 2, 11, key="other")]
        commands = [command("solo", 1, 10), command("solo", 2, 11.1, key="other")]
        close = command("solo", 1, 11, "close")
        end = command("solo", 2, 13, "close", key="other")
        judge(knocks, [commands[0], close, commands[1], end])
        self.wrong(knocks, [*commands, close, end])

    def test_a_knock_near_its_time_limit_may_run_or_not(self):
        knocks = [knock("quick", 1, certain=False), knock("double", 2)]
        self.assertEqual(judge(knocks, [command("double", 2, 10.1)])["undecided"], 1)
        judge(knocks, [command("quick", 1, 10), command("double", 2, 10.1)])


class ModelTest(unittest.TestCase):
    def knocks(self, source, ports, gap=0.0):
        model = Model(Setup())
        for number, port in enumerate(ports.split()):
            time = 10 + number * gap
            for taken in model.take(Taken(Line(source, "k", port, number, "-"), time, time + 0.1)):
                yield taken.rule.name, taken.serial, taken.certain

    def test_the_last_lines_must_match_the_steps(self):
        self.assertEqual([*self.knocks("gate", "p1 p2 p3 p3")], [("plain", 2, True)])
        self.assertEqual([*self.knocks("gate", "p1 p2 p4 p3")], [])
        self.assertEqual([*self.knocks("gate", "p1 p1 p1")], [("double", 1, True), ("double", 2, True)])

    def test_a_step_may_come_again_where_that_is_allowed(self):
        self.assertEqual([*self.knocks("gate", "p4 p4 p5 p5 p4 p4")], [("tcp", 4, True)])

    def test_a_sequence_that_takes_too_long_is_none(self):
        self.assertEqual([*self.knocks("quick", "p2 p3 p1", 0.4)], [("quick", 2, True)])
        self.assertEqual([*self.knocks("quick", "p2 p3 p1", 0.49)], [("quick", 2, False)])
        self.assertEqual([*self.knocks("quick", "p2 p3 p1", 0.6)], [])


class PlanTest(unittest.TestCase):
    def test_a_seed_gives_the_same_plan_again(self):
        def plan(seed):
            return [step for step, _ in zip(Plan(seed).steps(), range(300))]

        self.assertEqual(plan(7), plan(7))
        self.assertNotEqual(plan(7), plan(8))


if __name__ == "__main__":
    unittest.main()
