#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# run.py: timeout=300
"""What goes wrong before anything runs: one line with place and cause, and the
exit status that says which kind it was."""

import re

import cli
import phtest

SERVER = """
local pipehost = require "pipehost"
pipehost.server { name = "%s", on_message = function() end, %s }
"""


class Scripts(cli.Case):
    def each(self, pattern, text, commands=("serve", "run", "check")):
        path = self.script(text, "wrong.lua")
        for command in commands:
            with self.subTest(command):
                self.fails(cli.SCRIPT_ERROR, pattern, command, path)

    def test_missing(self):
        path = phtest.native(self.folder + "/nobody.lua")
        for command in ("serve", "run", "check"):
            with self.subTest(command):
                self.fails(cli.SCRIPT_ERROR, r"nobody\.lua.*no such", command, path)

    def test_syntax_error(self):
        self.each(r"wrong\.lua:2: unexpected symbol near '='", "local a = 1\nlocal x = = 1\n")

    def test_error_at_load(self):
        self.each(r"wrong\.lua:3: .*nil value \(field 'b'\)", "local t = {}\n\nt.b.c = 1\n")

    def test_error_with_a_table(self):
        self.each("table", "error {}\n")

    def test_error_in_a_module(self):
        self.write_file("broken.lua", "\n\nlocal = 3\n")
        self.each(r"broken\.lua:3: ", 'require "broken"\n')

    def test_missing_module(self):
        self.each(r"module 'no\.such' not found.*no/such\.lua", 'require "no.such"\n')

    def test_precompiled(self):
        self.each("(binary|text|precompiled)", b"\x1bLua\x54\0\x19\x93\r\n\x1a\n")

    def test_nothing_declared(self):
        self.each(r"wrong\.lua: declares no pipehost\.server", "local a = 1\n", ["serve"])

    def test_unknown_option_of_a_server(self):
        text = SERVER % ("a", "idle_timeot = 3")
        self.each(r"wrong\.lua:3: .*'idle_timeot'.*did you mean 'idle_timeout'", text)

    def test_option_without_a_near_one(self):
        self.each(r"wrong\.lua:3: .*unknown option 'zzzzzzzz'", SERVER % ("a", "zzzzzzzz = 3"))

    def test_wrong_types(self):
        for option, pattern in (
            ('timeout = "long"', "'timeout'.*milliseconds"),
            ("timeout = -1", "'timeout'.*milliseconds"),
            ("session = 5", "'session' is a function"),
            ("session = function() end", "one of on_message, session and steps"),
            ('mode = "bytes"', "mode"),
            ('mode = "byte"', "byte pipe needs option 'frame'"),
            ("on_error = 7", "'on_error'"),
        ):
            with self.subTest(option):
                self.each(r"wrong\.lua:3: .*" + pattern, SERVER % ("a", option), ["serve"])

    def test_wrong_values_for_the_pipe(self):
        for option, pattern in (
            ('backlog = "many"', "backlog"),
            ("max_message = 0", "max_message"),
            ("max_instances = 0.5", "max_instances"),
            ('access = "nobody"', "access"),
            ('direction = "up"', "direction"),
        ):
            with self.subTest(option):
                self.each(pattern, SERVER % (self.pipe_name(), option), ["serve", "run"])

    def test_wrong_names(self):
        for name, pattern in (
            ("", "empty"),
            ("a/b", r"name"),
            (".hidden", "dot"),
            ("n" * 201, "200 characters"),
        ):
            with self.subTest(name):
                self.each(pattern, SERVER % (name, ""), ["serve", "run"])

    def test_twice_in_one_script(self):
        self.each(r"wrong\.lua:\d+: .*declares 'a' twice", (SERVER % ("a", "")) * 2, ["serve"])

    def test_of_two_one_is_wrong(self):
        good = self.script(SERVER % (self.pipe_name(), ""), "good.lua")
        wrong = self.script("x.y = 1", "wrong.lua")
        self.fails(cli.SCRIPT_ERROR, r"wrong\.lua:1: ", "serve", good, wrong)


class Sources(cli.Case):
    """Below the sentence stands the line, and a caret under the place."""

    def shows(self, text, first, *source, commands=("run", "check", "serve")):
        path = self.script(text, "wrong.lua")
        for command in commands:
            with self.subTest(command):
                done = self.fails(cli.SCRIPT_ERROR, first, command, path)
                lines = [line.replace(path, "wrong.lua") for line in done.err.splitlines()]
                self.assertEqual(tuple(lines[1:]), source, done)

    def test_syntax_error(self):
        self.shows(
            "local a = 1\nlocal x = = a\n",
            r"wrong\.lua:2: unexpected symbol near '='$",
            "    2 | local x = = a",
            "      |           ^",
        )

    def test_block_that_is_not_closed(self):
        self.shows(
            "\nfunction f()\n  return 1\n",
            r"wrong\.lua:4: 'end' expected \(to close 'function' at line 2\) near <eof>$",
            "    2 | function f()",
            "      | ^",
        )

    def test_in_a_module(self):
        self.write_file("broken.lua", "local t = {}\n\tt.ü = 1\n")
        self.shows(
            'require "broken"\n',
            r"broken\.lua:2: .* near '<\\195>'$",
            "    2 | \tt.ü = 1",
            "      | \t  ^",
            "required from wrong.lua:1",
        )

    def test_unknown_option(self):
        self.shows(
            'require("pipehost").server {\n  name = "x",\n  on_mesage = function() end,\n}\n',
            r"wrong\.lua:1: pipehost\.server: unknown option 'on_mesage' "
            r"\(did you mean 'on_message'\?\)$",
            "    3 |   on_mesage = function() end,",
            "      |   ^",
        )

    def test_option_of_the_wrong_kind(self):
        self.shows(
            'require("pipehost").server {\n  name = "x",\n  direction = "up",\n  on_message = print,\n}\n',
            r"wrong\.lua:1: pipehost\.server x: option 'direction' is one of .*$",
            '    3 |   direction = "up",',
            "      |   ^",
        )

    def test_unknown_fields(self):
        for code, what, near in (
            ("pipehost.sever {}", "pipehost has no 'sever'", "server"),
            ("pipehost.pipe.opne()", "pipehost.pipe has no 'opne'", "open"),
            ("pipehost.log.wran()", "pipehost.log has no 'wran'", "warn"),
            ("pipehost.pipe.event():sett()", "an event has no 'sett'", "set"),
            ("pipehost.pipe.spawn(print):wiat()", "a task has no 'wiat'", "wait"),
        ):
            with self.subTest(code):
                column = code.index(what.split("'")[1])
                self.shows(
                    "local pipehost = require 'pipehost'\n" + code,
                    r"wrong\.lua:2: " + re.escape(f"{what} (did you mean '{near}'?)") + "$",
                    "    2 | " + code,
                    "      | " + " " * column + "^",
                    commands=["run"],
                )

    def test_unknown_field_of_a_server(self):
        self.shows(
            'local server = require("pipehost").server { name = "x", on_message = print }\nserver:brodcast()',
            r"wrong\.lua:2: a server has no 'brodcast' \(did you mean 'broadcast'\?\)$",
            "    2 | server:brodcast()",
            "      |        ^",
            commands=["check", "serve"],
        )

    def test_unknown_fields_of_pipes(self):
        name = self.pipe_name()
        text = f"""
local p <close> = require("pipehost").pipe.create("{name}")
local op = p:connect_op()
print(pcall(function() return p.sned end))
print(pcall(function() return p.sate end))
print(pcall(function() return op.canel end))
print(p.state, p.id)
op:cancel()
op:wait()
"""
        done = self.run_pipehost("run", self.script(text))
        self.assertEqual(
            re.sub(r"\S*script\.lua:\d+: ", "", done.out).splitlines(),
            [
                "false\ta pipe has no 'sned' (did you mean 'send'?)",
                "false\ta pipe has no 'sate' (did you mean 'state'?)",
                "false\tan operation has no 'canel' (did you mean 'cancel'?)",
                "nil\tnil",
            ],
            done,
        )

    def test_a_global_that_is_not_there(self):
        self.shows(
            "local a = undeclared\npritn(a)\n",
            r"wrong\.lua:2: attempt to call a nil value \(global 'pritn'\)$",
            "    2 | pritn(a)",
            "      | ^",
            commands=["serve"],
        )

    def test_no_colour_but_on_a_terminal(self):
        done = self.run_pipehost("run", self.script("x = = 1"))
        self.assertNotIn("\33", done.err)

    def test_a_reload_shows_it_too(self):
        control = self.pipe_name()
        server, _ = self.serve(cli.ECHO, "--control", control)
        self.script("local x = = 1\n", "server.lua")
        done = self.run_pipehost("ctl", "reload", "--control", control)
        self.assertEqual(done.status, cli.SCRIPT_ERROR, done)
        self.assertRegex(done.err, r"server\.lua:1: .*near '='\n    1 \| local x = = 1\n      \| {11}\^")
        server.wait_for(r"^    1 \| local x = = 1")


class Usage(cli.Case):
    def usage(self, pattern, *arguments):
        done = self.run_pipehost(*arguments)
        self.assertEqual(done.status, cli.USAGE, done)
        self.assertEqual(done.out, "")
        self.assertRegex(done.err.splitlines()[0], "^pipehost: .*" + pattern)

    def test_unknown_command(self):
        self.usage("'srve'", "srve")

    def test_a_script_without_a_command(self):
        path = self.script(cli.ECHO)
        done = self.run_pipehost(path)
        self.assertEqual(done.status, cli.USAGE, done)
        self.assertIn(f"unknown command '{path}'; of a script: pipehost serve {path}, or run", done.err)

    def test_unknown_options(self):
        for command in ("serve", "run", "check", "ctl", "test"):
            with self.subTest(command):
                self.usage("'--frob'", command, "--frob", "x")
        self.usage("'--frob'", "--frob")

    def test_missing_arguments(self):
        for command, what in (
            ("serve", "scripts"),
            ("run", "script"),
            ("check", "scripts"),
            ("ctl", "action"),
            ("completion", "shell"),
        ):
            with self.subTest(command):
                self.usage("missing argument '" + what, command)

    def test_wrong_values(self):
        path = self.script(cli.ECHO)
        for arguments, pattern in (
            (("ctl", "sttus"), "'status'"),
            (("completion", "tcsh"), "'bash'"),
            (("--log-format", "xml", "serve", path), "'--log-format'"),
            (("serve", "--drain", "soon", path), "'soon' is not a number"),
            (("serve", "--drain", "-5", path), "-5"),
            (("serve", path, "--set", "novalue"), "novalue: is not KEY=VALUE"),
            (("run", "--set", "=1", path), "=1: is not KEY=VALUE"),
            (("check", "--set", "novalue", path), "novalue: is not KEY=VALUE"),
            (("serve", path, "--path"), "'--path'"),
            (("-q",), "command"),
        ):
            with self.subTest(arguments[0]):
                self.usage(pattern, *arguments)

    def test_nothing_at_all(self):
        done = self.run_pipehost()
        self.assertEqual(done.status, cli.USAGE, done)
        self.assertRegex(done.err, "(?m)^Usage: pipehost")
        self.assertEqual(done.out, "")

    def test_folder_without_servers(self):
        self.write_file("empty/notes.lua", "x = = 1")
        folder = phtest.native(self.folder + "/empty")
        self.fails(cli.USAGE, r"empty: no server\.lua", "serve", folder)


class Pipes(cli.Case):
    def test_name_taken(self):
        _, pipe = self.serve(cli.ECHO)
        other = self.script(cli.ECHO, "other.lua")
        setting = "pipe=" + pipe
        done = self.run_pipehost("serve", other, "--set", setting)
        self.assertEqual(done.status, cli.UNAVAILABLE, done)
        self.assertRegex(done.err, f"(?m)^pipehost: .*{pipe}")
        self.assertRegex(done.err, "exists|taken|served")
        self.assertEqual(self.ask(pipe), "hello")

    def test_name_taken_within_one_command(self):
        first = self.script(cli.ECHO, "first.lua")
        second = self.script(cli.ECHO, "second.lua")
        setting = "pipe=" + self.pipe_name()
        done = self.run_pipehost("serve", first, second, "--set", setting)
        self.assertEqual(done.status, cli.UNAVAILABLE, done)
        self.nothing_left()

    def open(self, options):
        pipe = self.pipe_name()
        text = f'return require("pipehost").pipe.open("{pipe}", {options})\n'
        return pipe, self.script(text, "open.lua")

    def test_absent(self):
        for options in ('{ wait = "no" }', '{ wait = "free" }', '{ wait = "no", timeout = 200 }'):
            with self.subTest(options):
                pipe, path = self.open(options)
                self.fails(cli.UNAVAILABLE, f"open {pipe}: .*no such pipe.*absent", "run", path)

    def test_absent_with_waiting(self):
        pipe, path = self.open("{ timeout = 200 }")
        self.fails(cli.TIMED_OUT, f"open {pipe}: .*timeout", "run", path)

    def test_absent_asserted(self):
        pipe, _ = self.open("{}")
        text = f'\nassert(require("pipehost").pipe.open("{pipe}", {{ wait = "no" }}))\n'
        path = self.script(text, "assert.lua")
        self.fails(cli.SCRIPT_ERROR, rf"assert\.lua:2: open {pipe}: .*no such pipe", "run", path)

    def test_absent_for_the_shipped_client(self):
        path = phtest.native(phtest.ROOT + "/scripts/server_info/client.lua")
        pipe = self.pipe_name()
        done = self.run_pipehost("run", path, pipe, seconds=60)
        self.assertEqual(done.status, cli.TIMED_OUT, done)
        self.assertRegex(done.err, f"^pipehost: open {pipe}: .*timeout")
        self.assertEqual(done.out, "")


if __name__ == "__main__":
    phtest.main()
