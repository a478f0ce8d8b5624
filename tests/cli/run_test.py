#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# run.py: timeout=300
"""`run` and `check`, and what the program says of itself."""

import json
import subprocess

import cli
import phtest

PRINT_ARGUMENTS = """
print(select("#", ...), ...)
print(#arg, table.unpack(arg))
"""


class Status(cli.Case):
    def status_of(self, text, *arguments):
        return self.run_pipehost("run", self.script(text), *arguments)

    def test_what_it_returned(self):
        for text, status in (
            ("", 0),
            ("return", 0),
            ("return true", 0),
            ("return nil", 0),
            ("return 0", 0),
            ("return 7", 7),
            ("return false", 1),
            ('return "text"', 0),
            ("return {}", 0),
            ("return print", 0),
            ("return 2.5", 0),
            ("return true, print, {}", 0),
        ):
            with self.subTest(text):
                done = self.status_of(text)
                self.assertEqual((done.status, done.out, done.err), (status, "", ""), done)

    def test_outcomes(self):
        for code, status in (
            ("timeout", cli.TIMED_OUT),
            ("absent", cli.UNAVAILABLE),
            ("busy", cli.UNAVAILABLE),
            ("closed", cli.FAILED),
            ("custom", cli.FAILED),
        ):
            with self.subTest(code):
                done = self.status_of(f'return nil, "{code}", "the cause of it"')
                self.assertEqual((done.status, done.out), (status, ""), done)
                self.assertEqual(done.err, "pipehost: the cause of it")

    def test_outcome_without_a_sentence(self):
        for text in ('return nil, "custom"', 'return nil, "custom", { a = 1 }'):
            with self.subTest(text):
                done = self.status_of(text)
                self.assertEqual((done.status, done.err), (cli.FAILED, "pipehost: custom"), done)

    def test_uncaught_error(self):
        self.fails(cli.SCRIPT_ERROR, r"script\.lua:2: boom", "run", self.script('\nerror "boom"'))

    def test_uncaught_error_after_a_wait(self):
        text = 'require("pipehost").pipe.sleep(5)\nerror "boom"'
        self.fails(cli.SCRIPT_ERROR, r"script\.lua:2: boom", "run", self.script(text))

    def test_traceback_when_asked_for(self):
        text = 'local function inner()\n  error "boom"\nend\ninner()\n'
        done = self.run_pipehost("-v", "run", self.script(text))
        self.assertEqual(done.status, cli.SCRIPT_ERROR)
        self.assertRegex(done.err, r'script\.lua:2: boom\n    2 \|   error "boom"\nstack traceback:\n(.*\n)*.*script\.lua:4')

    def test_a_server_ends_with_its_script(self):
        done = self.run_pipehost("run", "--set", "pipe=" + self.pipe_name(), self.script(cli.ECHO))
        self.assertEqual((done.status, done.out), (0, ""), done)
        self.assertRegex(done.err, r"(?m)^\S+ info  the script has ended, .*serve keeps them")
        self.nothing_left()

    def test_os_exit(self):
        for text, status in (
            ("os.exit()", 0),
            ("os.exit(true)", 0),
            ("os.exit(false)", 1),
            ("os.exit(9)", 9),
            ("os.exit(9, true)", 9),
            ('require("pipehost").pipe.spawn(os.exit, 4); require("pipehost").pipe.sleep(20000)', 4),
        ):
            with self.subTest(text):
                done = self.status_of(text + "\nprint 'went on'")
                self.assertEqual((done.status, done.out, done.err), (status, "", ""), done)

    def test_os_exit_with_something_else(self):
        path = self.script("\nos.exit {}")
        self.fails(cli.SCRIPT_ERROR, r"script\.lua:2: os\.exit: .*integer", "run", path)

    def test_error_in_a_task_is_logged_and_no_more(self):
        text = """
local pipe = require("pipehost").pipe
pipe.spawn(function() error "lost" end)
pipe.sleep(20)
print "went on"
"""
        done = self.status_of(text)
        self.assertEqual((done.status, done.out), (0, "went on"), done)
        self.assertRegex(done.err, r"^\S+ error script\.lua#1: .*script\.lua:3: lost$")


class Arguments(cli.Case):
    def printed(self, *arguments):
        path = self.script(PRINT_ARGUMENTS)
        index = arguments.index("SCRIPT")
        words = arguments[:index] + (path,) + arguments[index + 1 :]
        done = self.run_pipehost(*words)
        self.assertEqual(done.status, 0, done)
        lines = done.out.splitlines()
        self.assertEqual(lines[0], lines[1])
        return lines[0].split("\t")

    def test_none(self):
        self.assertEqual(self.printed("run", "SCRIPT"), ["0"])

    def test_options_after_the_script_are_its_own(self):
        words = ["-v", "--set", "a=b", "--help", "--", "x", "run"]
        self.assertEqual(self.printed("run", "SCRIPT", *words), [str(len(words))] + words)

    def test_options_before_it_are_ours(self):
        got = self.printed("-q", "run", "--set", "a=b", "--path", "run", "SCRIPT", "--path")
        self.assertEqual(got, ["1", "--path"])

    def test_empty_and_spaced(self):
        self.assertEqual(self.printed("run", "SCRIPT", "", "a b"), ["2", "", "a b"])

    def test_outside_of_ascii(self):
        self.assertEqual(self.printed("run", "SCRIPT", "grün", "日本"), ["2", "grün", "日本"])

    def test_set(self):
        path = self.script('print(require("pipehost").config.key, require("pipehost").config.b)')
        done = self.run_pipehost("run", "--set", "key=a=ü b", "--set=b=", path)
        self.assertEqual((done.status, done.out), (0, "a=ü b\t"), done)

    def test_path(self):
        self.write_file("first/helper.lua", "return 'first'")
        self.write_file("second/helper.lua", "return 'second'")
        self.write_file("second/deep/init.lua", "return 'deep'")
        path = self.script('print(require "helper", (require "deep"))')
        folders = [phtest.native(f"{self.folder}/{name}") for name in ("first", "second")]
        done = self.run_pipehost("run", "--path", folders[0], "--path", folders[1], path)
        self.assertRegex(done.out, r"^first\t.*deep$")
        self.assertEqual(done.status, 0, done)

    def test_lua_path_is_not_looked_at(self):
        self.write_file("elsewhere/helper.lua", "return 1")
        env = dict(self.env, LUA_PATH=phtest.native(self.folder + "/elsewhere/?.lua"))
        path = self.script('require "helper"')
        self.fails(cli.SCRIPT_ERROR, "module 'helper' not found", "run", path, env=env)

    def test_stdin_is_the_scripts(self):
        path = self.script('for line in io.lines() do print("<" .. line .. ">") end')
        done = self.run_pipehost("run", path, text="eins\nzwei\n".encode())
        self.assertEqual((done.status, done.out), (0, "<eins>\n<zwei>"), done)


class Sources(cli.Case):
    """A mark of byte order, a line for the shell, and ends of lines."""

    HEADS = {
        "mark": b"\xef\xbb\xbf",
        "shell": b"#!/usr/bin/env pipehost\n",
        "both": b"\xef\xbb\xbf#!/usr/bin/env pipehost\r\n",
        "shell alone": b"#!",
    }

    def test_they_run_with_their_line_numbers(self):
        for name, head in self.HEADS.items():
            with self.subTest(name):
                self.write_file("mod.lua", head + b"\nreturn debug.getinfo(1).currentline\r\n")
                text = head + b"\r\nlocal mod = require 'mod'\r\nprint(mod)\r\nerror 'here'\r\n"
                done = self.run_pipehost("run", self.script(text))
                lines = head.count(b"\n")
                self.assertEqual((done.status, done.out), (65, str(lines + 2)), done)
                self.assertRegex(done.err, rf"script\.lua:{lines + 4}: here")

    def test_check_takes_them_too(self):
        for name, head in self.HEADS.items():
            with self.subTest(name):
                done = self.run_pipehost("check", self.script(head + b"\r\nlocal a = 1\r\n"))
                self.assertEqual(done.status, 0, done)

    def test_names_outside_of_ascii(self):
        self.write_file("größe/hilfe_ö.lua", "return 'gefunden ü'")
        path = self.script("print(require 'hilfe_ö')\nerror 'so'", "größe/Jürgen.lua")
        done = self.run_pipehost("run", path)
        self.assertTrue(done.out.startswith("gefunden ü"), done)
        self.assertRegex(done.err, r"größe.Jürgen\.lua:2: so")


class Check(cli.Case):
    def test_as_far_as_the_first_operation(self):
        text = '\nlocal pipe = require("pipehost").pipe\nprint "loaded"\npipe.open("Nobody")\nx.y = 1\n'
        path = self.script(text)
        done = self.run_pipehost("check", path)
        self.assertEqual((done.status, done.err), (0, ""), done)
        self.assertEqual(done.out.splitlines(), ["loaded", path + ": checked as far as line 4"])

    def test_caught_by_the_script(self):
        text = 'local pipe = require("pipehost").pipe\npcall(pipe.open, "Nobody")\n\nx.y = 1\n'
        done = self.run_pipehost("check", self.script(text))
        self.assertEqual(done.status, 0, done)
        self.assertRegex(done.out, "checked as far as line 2$")

    def test_declarations_are_no_operations(self):
        done = self.run_pipehost("check", self.script(cli.ECHO), "--set", "pipe=a")
        self.assertEqual(done.status, 0, done)
        self.assertRegex(done.out, "script.lua: ok$")
        self.nothing_left()

    def test_several(self):
        good = self.script("local a = 1", "good.lua")
        wrong = self.script("x.y = 1", "wrong.lua")
        done = self.run_pipehost("check", wrong, good)
        self.assertEqual((done.status, done.out), (65, good + ": ok"), done)
        self.assertRegex(done.err, r"^pipehost: .*wrong\.lua:1: [^\n]*\n    1 \| x\.y = 1\n      \| \^$")


class AboutItself(cli.Case):
    def says(self, *arguments):
        done = self.run_pipehost(*arguments)
        self.assertEqual((done.status, done.err), (0, ""), done)
        return done.out

    def test_version(self):
        self.assertRegex(self.says("--version"), r"^pipehost \d+\.\d+\.\d+ \(Lua 5\.4\)$")

    def test_help(self):
        for command in ("serve", "run", "check", "test", "ctl", "connect", "list", "completion"):
            self.assertRegex(self.says("--help"), rf"(?m)^ +{command} ")
            self.assertRegex(self.says(command, "--help"), f"^Usage: pipehost {command}")

    def test_licenses(self):
        text = self.says("--licenses")
        for holder in ("Lua.org", "Kepler Project", "Peter Melnichenko", "Philippe Fremy"):
            self.assertIn(holder, text)

    def test_completion(self):
        for shell in ("bash", "zsh", "fish"):
            text = self.says("completion", shell)
            for word in ("serve", "check", "log-format", "drain"):
                self.assertTrue(word in text, word)

    def test_completion_is_what_bash_takes(self):
        text = self.says("completion", "bash")
        subprocess.run(["bash", "-n"], input=text.encode(), check=True, timeout=10)

    def test_log_of_a_run_as_json(self):
        text = 'require("pipehost").log.warn("\\"a\\"\\n\\1ü", { n = 1 })'
        done = self.run_pipehost("--log-format", "json", "run", self.script(text))
        line = json.loads(done.err)
        self.assertEqual((line["level"], line["message"]), ("warn", '"a"\n\1ü'))
        self.assertEqual((line["script"], line["generation"]), ("script.lua", 1))


if __name__ == "__main__":
    phtest.main()
