#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# run.py: timeout=300 alone=windows
"""`serve`, its log, and `ctl`. All that serve on Windows are in one space of
names, where `ctl` would find those of other tests: nothing runs beside it there."""

import json
import os

import cli
import phtest

NAMED = """
local pipehost = require "pipehost"
pipehost.server {
  name = pipehost.config.pipe .. "%s",
  on_message = function() return "%s" end,
}
"""

FAILING = """
local pipehost = require "pipehost"
pipehost.server {
  name = pipehost.config.pipe,
  on_message = function(_, message)
    error("cannot do " .. message)
  end,
}
"""


class Folders(cli.Case):
    def start_folder(self, *paths):
        self.pipe = self.pipe_name()
        paths = [phtest.native(path) for path in paths]
        server = self.start("serve", *paths, "--set", "pipe=" + self.pipe)
        self.addCleanup(lambda: server.running() and server.stop())
        return server

    def add(self, path, suffix):
        return self.write_file(path, NAMED % (suffix, "I am " + suffix))

    def test_which_files(self):
        self.add("f/server.lua", "a")
        self.add("f/mail_server.lua", "b")
        self.add("f/one/server.lua", "c")
        self.add("f/one/two/server.lua", "d")
        self.add("f/observer.lua", "e")
        self.add("f/.hidden/server.lua", "f")
        self.add("f/.server.lua", "g")
        self.write_file("f/notes.lua", "x = = 1")
        server = self.start_folder(self.folder + "/f")
        server.wait_for("serving 3 scripts")
        for suffix in "abc":
            self.assertEqual(self.ask(self.pipe + suffix), "I am " + suffix)
        for suffix in "defg":
            self.assertNotIn(f"server {self.pipe}{suffix}:", server.err)

    def test_trailing_separator_and_a_script_besides(self):
        self.add("f/server.lua", "a")
        server = self.start_folder(self.add("other.lua", "b"))
        server.wait_for("serving 1 script")
        self.assertEqual(server.stop(), 0, server)
        pipe = self.pipe_name()
        words = [phtest.native(self.folder + "/f") + ("\\" if phtest.WINDOWS else "/")]
        words += [phtest.native(self.folder + "/other.lua"), "--set", "pipe=" + pipe]
        server = self.start("serve", *words)
        server.wait_for("serving 2 scripts")
        self.assertEqual(self.ask(pipe + "a"), "I am a")
        self.assertEqual(self.ask(pipe + "b"), "I am b")

    def test_scripts_do_not_share_globals(self):
        text = "count = (count or 0) + 1\n" + NAMED
        first = self.write_file("first.lua", text % ("a", "%d") + "")
        second = self.write_file("second.lua", text.replace('"%s" end', "tostring(count) end") % "b")
        server = self.start_folder(first, second)
        server.wait_for("serving 2 scripts")
        self.assertEqual(self.ask(self.pipe + "b"), "1")

    def test_modules_beside_the_script(self):
        self.write_file("f/helper.lua", "return { word = 'helped' }")
        text = NAMED.replace('"%s" end', "require('helper').word end") % ""
        path = self.write_file("f/x_server.lua", text)
        server = self.start_folder(path)
        server.wait_for("serving 1 script")
        self.assertEqual(self.ask(self.pipe), "helped")

    def test_relative_path(self):
        self.add("f/server.lua", "a")
        pipe = self.pipe_name()
        server = self.start("serve", "f", "--set", "pipe=" + pipe, cwd=self.folder)
        server.wait_for("serving 1 script")
        self.assertEqual(self.ask(pipe + "a"), "I am a")
        self.assertEqual(server.stop(), 0, server)

    def test_scripts_without_a_server(self):
        text = 'require("pipehost").on_start(function() print "started" end)\n'
        server = self.start("serve", self.script(text))
        server.wait_for("^started$")
        self.assertTrue(server.running())
        self.assertEqual(server.stop(), 0, server)

    def test_names_outside_of_ascii(self):
        path = self.write_file("größe/Jürgen.lua", cli.ECHO)
        pipe = self.pipe_name() + "-Tür"
        server = self.start("serve", phtest.native(path), "--set", "pipe=" + pipe)
        server.wait_for("serving 1 script")
        self.assertIn("Jürgen.lua#1: server " + pipe, server.err)
        self.assertEqual(self.ask(pipe, "grün"), "grün")
        if not phtest.WINDOWS:
            self.assertIn(pipe.lower(), os.listdir(self.pipes))
        self.assertEqual(server.stop(), 0, server)
        self.nothing_left()


class Log(cli.Case):
    def failing(self, *options):
        pipe = self.pipe_name()
        path = self.script(FAILING, "failing.lua")
        server = self.start(*options, "serve", path, "--set", "pipe=" + pipe)
        self.addCleanup(lambda: server.running() and server.stop())
        if "-q" not in options:
            server.wait_for("serving 1 script")
        done = self.run_pipehost("run", self.script(cli.ASK, "ask.lua"), pipe, "harm")
        self.assertEqual(done.status, cli.FAILED, done)
        self.assertRegex(done.err, "closed")
        server.wait_for("cannot do harm")
        self.assertTrue(server.running())
        self.assertEqual(server.stop(), 0, server)
        self.assertEqual(server.out, "", "the log belongs on stderr")
        return pipe, server.err.splitlines()

    def test_text(self):
        pipe, lines = self.failing()
        for line in lines:
            self.assertRegex(line, r"^\d\d:\d\d:\d\d\.\d{3}Z (info |warn |error) ")
        wrong = [line for line in lines if " error " in line]
        self.assertEqual(len(wrong), 1, lines)
        self.assertRegex(wrong[0], r"failing\.lua#1: .*failing\.lua:6: cannot do harm")
        self.assertRegex(wrong[0], rf"\bconnection=1\b.*\bpipe={pipe}\b")
        self.assertRegex(lines[-1], "info +stopped$")

    def test_json(self):
        pipe, lines = self.failing("--log-format", "json")
        entries = [json.loads(line) for line in lines]
        for entry in entries:
            self.assertRegex(entry["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
            self.assertIn(entry["level"], ("info", "warn", "error"))
        wrong = [entry for entry in entries if entry["level"] == "error"]
        self.assertEqual(len(wrong), 1, lines)
        self.assertEqual((wrong[0]["script"], wrong[0]["generation"]), ("failing.lua", 1))
        self.assertEqual((wrong[0]["pipe"], wrong[0]["connection"]), (pipe, "1"))

    def test_quiet(self):
        _, lines = self.failing("-q")
        self.assertEqual(len(lines), 1, lines)

    def test_verbose(self):
        _, lines = self.failing("-v")
        text = "\n".join(lines)
        self.assertRegex(text, r"cannot do harm.*\nstack traceback:\n(.*\n)*.*failing\.lua:6: in ")
        self.assertRegex(text, "debug failing.lua#1: .*connected")

    def test_no_colour_in_a_file(self):
        _, lines = self.failing()
        self.assertNotIn("\33", "".join(lines))


class Ctl(cli.Case):
    def ctl(self, *arguments):
        return self.run_pipehost("ctl", *arguments)

    def test_none(self):
        self.fails(cli.UNAVAILABLE, "no pipehost is serving", "ctl", "status")
        self.fails(cli.UNAVAILABLE, "no pipehost is serving", "ctl", "stop")

    def test_one_that_is_not_there(self):
        name = self.pipe_name()
        self.fails(cli.UNAVAILABLE, name, "ctl", "--control", name, "status")

    def test_status(self):
        server, pipe = self.serve(cli.ECHO)
        self.ask(pipe)
        done = self.ctl("status")
        self.assertEqual((done.status, done.err), (0, ""), done)
        self.assertRegex(done.out, r"^pipehost \d+\.\d+\.\d+, process \d+: ")
        self.assertRegex(done.out, r"server\.lua: generation 1, \d+ s, \d+ KiB")
        self.assertRegex(done.out, rf"server {pipe}: running, message mode, .*served 1\b")
        if not phtest.WINDOWS:
            self.assertIn(f"process {server.pid}:", done.out)

    def test_stop(self):
        server, _ = self.serve(cli.ECHO)
        done = self.ctl("stop")
        self.assertEqual((done.status, done.err), (0, ""), done)
        self.assertEqual(server.wait(), 0, server)
        self.assertRegex(server.err.splitlines()[-1], "info +stopped$")
        self.nothing_left()

    def test_several(self):
        first, _ = self.serve(cli.ECHO, "--control", self.pipe_name())
        second, _ = self.serve(cli.ECHO)
        third, _ = self.serve(cli.ECHO)
        names = [self.control_name(server) for server in (second, third)]
        done = self.ctl("stop")
        self.assertEqual((done.status, done.out), (cli.UNAVAILABLE, ""), done)
        self.assertRegex(done.err, "^pipehost: several are serving; .*--control")
        for name in names:
            self.assertIn(name, done.err)
        self.assertEqual(self.ctl("--control", names[0], "stop").status, 0)
        self.assertEqual(second.wait(), 0, second)
        self.assertEqual(self.ctl("--control", self.control_name(first), "stop").status, 0)
        self.assertEqual(first.wait(), 0, first)
        self.assertTrue(third.running())
        self.assertEqual(self.ctl("stop").status, 0)
        self.assertEqual(third.wait(), 0, third)
        self.nothing_left()

    @staticmethod
    def control_name(server):
        for line in server.err.splitlines():
            if "control pipe " in line:
                return line.rsplit("control pipe ", 1)[1]
        raise AssertionError(server)

    def test_name_of_the_control_pipe_taken(self):
        _, pipe = self.serve(cli.ECHO)
        path = self.script(cli.ECHO, "other.lua")
        other = self.pipe_name()
        done = self.run_pipehost("serve", path, "--set", "pipe=" + other, "--control", pipe)
        self.assertEqual(done.status, cli.UNAVAILABLE, done)
        self.assertRegex(done.err, f"(?m)^pipehost: .*{pipe}")
        self.assertEqual(self.ask(pipe), "hello")


if __name__ == "__main__":
    phtest.main()
