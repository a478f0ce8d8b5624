#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# run.py: alone
"""The ServerInfo exchange with programs that are not ours: the ones of this
folder, on the Win32 API alone, as clients and as server. All tests of a system
share one space of names and the name is part of the exchange, so nothing else
runs beside this file."""

import sys

import interop
import phtest

PIPE = "\\\\.\\pipe\\ServerInfo"
WAIT = ["--wait", "15000"]

# The exit statuses of the two programs.
DONE, CLOSED, VANISHED = 0, 4, 9


class OurServer(phtest.TestCase):
    def setUp(self):
        super().setUp()
        self.server = self.start("serve", phtest.native(interop.SERVER_SCRIPT))
        self.addCleanup(lambda: self.server.running() and self.server.stop())

    def command(self, *arguments):
        return phtest.program("interop/serverinfo_client_win32") + WAIT + list(arguments)

    def ask(self, questions=1, *options):
        done = self.finish(self.command(*options, PIPE, str(questions)))
        self.assertEqual(done.status, DONE, (done, self.server))
        self.assertEqual(done.out.splitlines(), ["iFage = 3"] * questions)

    def test_one_question(self):
        self.ask()

    def test_many_questions(self):
        self.ask(200)

    def test_clients_one_after_the_other(self):
        for _ in range(10):
            self.ask(2)

    def test_clients_at_the_same_time(self):
        slow = ["--pause", "200", PIPE, "3"]
        clients = [self.spawn(self.command(*slow)) for _ in range(5)]
        for client in clients:
            self.assertEqual(client.wait(), DONE, client)
            self.assertEqual(client.out.splitlines(), ["iFage = 3"] * 3)

    def misbehave(self, how, status):
        """While another client is in the middle, which does not notice."""
        good = self.spawn(self.command("--pause", "1500", PIPE, "4"))
        good.wait_for("iFage = 3")
        done = self.finish(self.command(how))
        self.assertEqual(done.status, status, (done, self.server))
        self.assertTrue(good.running(), "it should still be in the middle")
        self.assertEqual(good.wait(), DONE, good)
        self.assertEqual(good.out.splitlines(), ["iFage = 3"] * 4)
        self.ask()

    def test_short_message(self):
        self.misbehave("--bad-size", CLOSED)
        self.assertRegex(self.server.err, interop.COMPLAINT)

    def test_unknown_flag(self):
        self.misbehave("--bad-flag", CLOSED)
        self.assertRegex(self.server.err, interop.COMPLAINT)

    def test_client_that_vanishes(self):
        self.misbehave("--vanish", VANISHED)


class OurClient(phtest.TestCase):
    def serve(self, *arguments):
        command = phtest.program("interop/serverinfo_server_win32")
        server = self.spawn(command + list(arguments))
        server.wait_for("^listening$")
        return server

    def run_client(self):
        return self.run_pipehost("run", phtest.native(interop.CLIENT_SCRIPT))

    def exchange(self, value, *options):
        server = self.serve(*options, PIPE, "1")
        done = self.run_client()
        self.assertEqual(done.status, 0, (done, server))
        self.assertIn(f"iFage = {value}", done.out.splitlines())
        self.assertEqual(server.wait(), DONE, server)
        events = ["listening", "connected", "asked", "answered", "end", "disconnected"]
        self.assertEqual(server.out.splitlines(), events)

    def test_exchange(self):
        self.exchange(3)

    def test_another_value(self):
        self.exchange(70000, "--value", "70000")

    def test_one_after_the_other(self):
        server = self.serve(PIPE, "5")
        for _ in range(5):
            done = self.run_client()
            self.assertEqual(done.status, 0, (done, server))
        self.assertEqual(server.wait(), DONE, server)
        self.assertEqual(server.out.splitlines().count("end"), 5)

    def expect_failure(self, how):
        """The client says that and why it has failed, and prints no value."""
        server = self.serve(how, PIPE, "1")
        done = self.run_client()
        self.assertGreater(done.status, 0, (done, server))
        self.assertNotIn("iFage =", done.out)
        self.assertTrue(done.err.strip(), done)
        return server.wait()

    def test_short_answer(self):
        self.assertEqual(self.expect_failure("--bad-size"), DONE)

    def test_no_answer(self):
        self.assertEqual(self.expect_failure("--silent"), DONE)

    def test_server_that_vanishes(self):
        self.assertEqual(self.expect_failure("--vanish"), VANISHED)


if __name__ == "__main__":
    if not phtest.WINDOWS:
        sys.exit("exchange_win32_test.py: PH_SYSTEM is not windows")
    phtest.main()
