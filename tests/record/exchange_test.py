#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The exchange of ServerInfo with programs on the Win32 API alone, recorded under Wine
and committed in fixtures/: replayed here against our server and our client, on both
systems. On Windows the same conversations are recorded anew, and replayed against the
Win32 programs as well."""

import os
import re
import shutil
import unittest

import recording
import phtest
from recording import OK, FAILED

FIXTURES = os.path.join(phtest.ROOT, "tests", "record", "fixtures")
SCRIPTS = os.path.join(phtest.ROOT, "scripts", "server_info")
PROTOCOL = phtest.native(os.path.join(SCRIPTS, "protocol.lua"))

# What is said on both, by whoever plays: asked, answered, END.
ASK, ANSWER, END = "01 00 00 00", "03 00 00 00", "02 00 00 00"
WAIT = ["--wait", "15000"]


class Exchange(recording.Case):
    def use(self, name):
        """The committed recording, as a.rec."""
        shutil.copy(os.path.join(FIXTURES, name), os.path.join(self.folder, "a.rec"))

    def our_server(self):
        pipe = self.pipe_name()
        script = phtest.native(os.path.join(SCRIPTS, "server.lua"))
        server = self.start("serve", script, "--set", "pipe=" + pipe)
        self.addCleanup(lambda: server.running() and server.stop())
        server.wait_for("serving 1 script")
        return pipe

    def our_client(self, pipe, status=OK):
        done = self.run_pipehost("run", phtest.native(os.path.join(SCRIPTS, "client.lua")), pipe)
        self.assertEqual(done.status, status, done)
        return done

    def said(self, name="a.rec"):
        """What was said in the first connection, as bytes in hex."""
        events = [event.split(" ", 2) for event in self.events(name)]
        return [event[2] for event in events if event[0] == "1" and event[1] in "<>"]


class Committed(Exchange):
    def test_the_recordings_are_of_windows(self):
        for name in ("win32_client.rec", "win32_server.rec"):
            self.use(name)
            self.assertIn("\npipe ServerInfo\nmode message\nsystem windows\n", self.read("a.rec"))
        self.assertEqual(self.said(), [ASK, ANSWER, END])

    def test_our_client_meets_the_recorded_servers(self):
        for name in ("win32_client.rec", "win32_server.rec"):
            with self.subTest(name):
                self.use(name)
                if name == "win32_client.rec":
                    # That client asked twice, ours asks once.
                    self.write_file("a.rec", once(self.read("a.rec")))
                replay, pipe = self.replayer("--protocol", PROTOCOL)
                self.assertIn("iFage = 3", self.our_client(pipe).out.splitlines())
                self.assertEqual(replay.wait(), OK, replay)

    def test_a_client_that_asks_otherwise_is_told(self):
        self.use("win32_client.rec")
        replay, pipe = self.replayer("--protocol", PROTOCOL)
        self.our_client(pipe)
        self.assertEqual(replay.wait(), FAILED, replay)
        self.assertRegex(replay.err, r"a\.rec:9: connection 1: the client sent something else")
        self.assertIn("flag = 2", replay.err)

    def test_our_server_meets_the_recorded_clients(self):
        for name in ("win32_client.rec", "win32_server.rec"):
            with self.subTest(name):
                self.use(name)
                done = self.replay_as_client(self.our_server())
                self.assertEqual(done.status, OK, done)

    def test_scripts_made_of_them_pass(self):
        self.use("win32_client.rec")
        options = ["--to-lua", "--protocol", PROTOCOL]
        made = self.run_pipehost("replay", self.path("a.rec"), "--as", "client", *options).out
        self.assertIn("s.expect(protocol.ServerInfo, { fields = { iFage = 3 } })", made)
        shutil.copy(os.path.join(SCRIPTS, "protocol.lua"), os.path.join(self.folder, "protocol.lua"))
        done = self.run_pipehost("run", self.script(made, "made.lua"), self.our_server())
        self.assertEqual(done.status, OK, done)

    def test_the_picture_in_the_documents(self):
        self.use("win32_client.rec")
        done = self.run_pipehost("transcript", self.path("a.rec"), "--svg", "--protocol", PROTOCOL)
        with open(os.path.join(phtest.ROOT, "docs", "server_info.svg"), encoding="utf-8") as file:
            self.assertEqual(file.read().rstrip("\n"), done.out)


class Documents(Exchange):
    def blocks(self):
        with open(os.path.join(phtest.ROOT, "docs", "record.md"), encoding="utf-8") as file:
            text = file.read()
        found = re.search(r"<!-- recording -->\n```text\n(.*?)^```$", text, re.M | re.S).group(1)
        test = re.search(r"<!-- test: \S+ -->\n```lua\n(.*?)^```$", text, re.M | re.S).group(1)
        return text, found, test

    def test_its_recording_is_the_committed_one(self):
        with open(os.path.join(FIXTURES, "win32_client.rec"), encoding="utf-8") as file:
            self.assertEqual(self.blocks()[1], file.read())

    def test_its_difference_is_what_is_said(self):
        text, found, _ = self.blocks()
        self.write_file("talk.rec", found)
        replay, pipe = self.replayer("--protocol", PROTOCOL, name="talk.rec")
        self.our_client(pipe)
        self.assertEqual(replay.wait(), FAILED, replay)
        shown = replay.err.partition("pipehost: ")[2].replace(self.path("talk.rec"), "talk.rec")
        for line in ("pipehost: " + shown).splitlines():
            self.assertIn("\n    " + line + "\n", text)

    def test_its_test_passes(self):
        _, found, test = self.blocks()
        self.write_file("talk.rec", found)
        done = self.run_pipehost("test", self.script(test, "recorded_test.lua"))
        self.assertEqual(done.status, OK, done)
        self.assertIn("1 passed, 0 failed", done.out)
        self.write_file("talk.rec", found.replace("1.6        1 >     4  02", "1.6        1 >     4  09"))
        done = self.run_pipehost("test", self.script(test, "recorded_test.lua"))
        self.assertEqual(done.status, FAILED, done)


def once(text):
    """Without the second question and its answer."""
    head, events = text.split("\n\n", 1)
    lines = events.splitlines(True)
    return head + "\n\n" + "".join(lines[:3] + lines[5:])


@unittest.skipUnless(phtest.WINDOWS, "the programs are of Windows")
class Recorded(Exchange):
    def win32_client(self, pipe, asks=2):
        command = phtest.program("interop/serverinfo_client_win32")
        done = self.finish(command + WAIT + [r"\\.\pipe" + "\\" + pipe, str(asks)])
        self.assertEqual(done.status, OK, done)
        self.assertEqual(done.out.splitlines(), ["iFage = 3"] * asks)

    def win32_server(self):
        pipe = self.pipe_name()
        command = phtest.program("interop/serverinfo_server_win32")
        server = self.spawn(command + [r"\\.\pipe" + "\\" + pipe, "1"])
        server.wait_for("^listening$")
        return server, pipe

    def same_as(self, fixture):
        """What was said is what the committed recording has."""
        said = self.said()
        self.use(fixture)
        self.assertEqual(said, self.said())

    def test_the_win32_client_and_our_server(self):
        recorder, pipe = self.recorder(self.our_server(), "--connections", "1")
        self.win32_client(pipe)
        self.assertEqual(recorder.wait(), OK, recorder)
        replay, pipe = self.replayer()
        self.win32_client(pipe)
        self.assertEqual(replay.wait(), OK, replay)
        done = self.replay_as_client(self.our_server())
        self.assertEqual(done.status, OK, done)
        self.same_as("win32_client.rec")

    def test_our_client_and_the_win32_server(self):
        server, target = self.win32_server()
        recorder, pipe = self.recorder(target, "--connections", "1")
        self.assertIn("iFage = 3", self.our_client(pipe).out.splitlines())
        self.assertEqual(recorder.wait(), OK, recorder)
        self.assertEqual(server.wait(), OK, server)
        server, target = self.win32_server()
        done = self.replay_as_client(target)
        self.assertEqual(done.status, OK, done)
        self.assertEqual(server.wait(), OK, server)
        replay, pipe = self.replayer()
        self.our_client(pipe)
        self.assertEqual(replay.wait(), OK, replay)
        self.same_as("win32_server.rec")

    def test_a_recording_of_linux_against_the_win32_programs(self):
        lines = ["0.0 1 open", f"0.1 1 > 4 {ASK}", f"0.2 1 < 4 {ANSWER}", f"0.3 1 > 4 {END}", "0.4 1 close client"]
        self.recording(*lines, header="system linux\n")
        replay, pipe = self.replayer()
        self.win32_client(pipe, asks=1)
        self.assertEqual(replay.wait(), OK, replay)
        server, target = self.win32_server()
        done = self.replay_as_client(target)
        self.assertEqual(done.status, OK, done)
        self.assertEqual(server.wait(), OK, server)


if __name__ == "__main__":
    phtest.main()
