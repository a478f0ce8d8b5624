# SPDX-License-Identifier: MIT
"""`pipehost test` on files that are meant to fail: what it says of each.

run.py: timeout=300

A file failing/*.lua has in its last comment what is printed for it; names of
pipes, process ids and times are replaced. A line "-- arguments: …" near its top
has further arguments, "-- status: N" the exit status (1), "-- error: …" what is
said on stderr (nothing).
"""

import os
import pty
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import phtest  # noqa: E402

FAILING = os.path.join(phtest.ROOT, "tests", "runner", "failing")

REPLACED = [
    (r"ph-test-[\w-]+", "NAME"),
    (r"(?m)^ +\d+\.\d  ", "         MS  "),
    (r"process \S*pipehost(\.exe)? \(\d+(, ended)?\)", "process PROGRAM"),
    (r"pipe pipehost(\.exe)? std", "pipe PROGRAM std"),
    (r"pipehost(\.exe)?(: it has ended| did not print)", r"PROGRAM\2"),
    (r"was ended by signal 9 in|ended with status [01] in", "KILLED in"),
    (r"by \d+ bytes a run", "by BYTES bytes a run"),
    (r"(?m)^  \| \d\d:\d\d:\d\d\.\d+Z .*\n", ""),
    (r"(?m)^  output:\n(?!  \|)", ""),
    (r"(?m) +$", ""),
]


def normal(text):
    for pattern, replacement in REPLACED:
        text = re.sub(pattern, replacement, text)
    return text


class Runner(phtest.TestCase):
    maxDiff = None

    def run_tests(self, *arguments, cwd=FAILING, **options):
        arguments = ("test", "--seed", "1", "--jobs", "1") + arguments
        return self.run_pipehost(*arguments, cwd=cwd, seconds=120, **options)


class FilesThatFail(Runner):
    def check(self, name, *arguments):
        with open(os.path.join(FAILING, name), encoding="utf-8") as file:
            text = file.read()
        expected = re.search(r"--\[\[ output:\n(.*)\]\]\n$", text, re.DOTALL)[1]
        more = re.search(r"(?m)^-- arguments: (.*)$", text)
        status = re.search(r"(?m)^-- status: (\d+)$", text)
        done = self.run_tests(*arguments, *(more[1].split() if more else []), name)
        self.assertEqual(normal(done.out + "\n"), expected, done)
        error = re.search(r"(?m)^-- error: (.*)$", text)
        self.assertEqual(done.err, error[1] if error else "")
        self.assertEqual(done.status, int(status[1]) if status else 1)

    def test_ends_in_the_middle(self):
        script = phtest.native(os.path.join(FAILING, "ends_in_the_middle.lua"))
        program = [self.program(), "run", script]
        words = [word for part in program for word in ("--program", part)]
        self.check("ends_in_the_middle.lua", *words)

    def program(self):
        return phtest.native(phtest.PIPEHOST[-1])


def add_files():
    """One test for each file."""
    for name in sorted(os.listdir(FAILING)):
        base = name[: -len(".lua")]
        if name.endswith(".lua") and base not in ("helper", "ends_in_the_middle"):
            method = lambda self, name=name: self.check(name)  # noqa: E731
            setattr(FilesThatFail, "test_" + base, method)


class Options(Runner):
    def files(self, **texts):
        for name, text in texts.items():
            self.write_file(name + "_test.lua", text)
        return phtest.native(self.folder)

    def lines(self, done):
        return [line for line in done.out.split("\n") if re.match(r"(not )?ok|skip", line)]

    def test_folders_and_files(self):
        self.files(a="return { test_a = function() end }", b="return { test_b = function() end }")
        self.write_file("deeper/c_test.lua", "return { test_c = function() end }")
        self.write_file("deeper/d.lua", "return { test_d = error }")
        done = self.run_tests("deeper", "a_test.lua", cwd=self.folder)
        self.assertEqual(self.lines(done), ["ok - deeper/c_test.lua: test_c", "ok - a_test.lua: test_a"])
        done = self.run_tests(".", cwd=self.folder)
        self.assertEqual(done.out.split("\n")[-1], "3 passed, 0 failed")
        self.assertEqual(done.status, 0)

    def test_what_is_not_there(self):
        done = self.run_tests("nowhere")
        self.assertEqual((done.status, done.out), (2, ""))
        self.assertIn("nowhere: there is no such file or folder", done.err)
        os.mkdir(os.path.join(self.folder, "empty"))
        done = self.run_tests("empty", cwd=self.folder)
        self.assertEqual((done.status, done.out), (5, "0 passed, 0 failed"))
        self.assertEqual(done.err, "pipehost: no tests: there is no file *_test.lua in empty")

    def test_filter_and_list(self):
        self.files(
            one="return { test_up = function() end, test_down = function() end }",
            two="return { test_up = error }",
        )
        done = self.run_tests("--list", ".", cwd=self.folder)
        self.assertEqual(
            done.out.split("\n"),
            ["./one_test.lua: test_down", "./one_test.lua: test_up", "./two_test.lua: test_up"],
        )
        done = self.run_tests("--filter", "one_test.lua: test_up", ".", cwd=self.folder)
        self.assertEqual(done.out, "ok - ./one_test.lua: test_up\n1 passed, 0 failed")
        done = self.run_tests("--filter", "sideways", ".", cwd=self.folder)
        self.assertEqual(done.status, 5)
        self.assertIn("no tests: none has 'sideways' in \"FILE: NAME\"; --list shows them", done.err)
        done = self.run_tests("--list", "--filter", "sideways", ".", cwd=self.folder)
        self.assertEqual((done.status, done.out), (5, ""))

    def test_shuffle(self):
        tests = ", ".join(f"test_{i:02} = function() end" for i in range(30))
        self.files(many="return { " + tests + " }")
        orders = [
            self.lines(self.run_tests("--shuffle", "--seed", seed, ".", cwd=self.folder)) for seed in ("7", "7", "8")
        ]
        self.assertEqual(orders[0], orders[1])
        self.assertNotEqual(orders[0], orders[2])
        self.assertEqual(sorted(orders[0]), sorted(orders[2]))
        self.assertNotEqual(orders[0], sorted(orders[0]))

    def test_random_numbers(self):
        text = "print(math.random(1 << 40)) error 'x'"
        self.files(a=f"return {{ test_a = function() {text} end, test_b = function() {text} end }}")

        def numbers(*arguments):
            return re.findall(r"\| (\d+)", self.run_tests(*arguments, ".", cwd=self.folder).out)

        first = numbers()
        self.assertEqual(len(first), 2)
        self.assertNotEqual(first[0], first[1])
        self.assertEqual(numbers(), first)
        self.assertEqual(numbers("--filter", "test_b"), first[1:])
        self.assertNotEqual(numbers("--seed", "2"), first)

    def test_tap(self):
        self.files(
            a="""return {
                test_1 = function() end,
                test_2 = function() print "said\\0" error "first\\nsecond # \\255" end,
                test_3 = function() require("pipehost.test").skip "a # reason" end,
            }"""
        )
        done = self.run_tests("--tap", ".", cwd=self.folder)
        lines = re.sub(r"duration_ms: \d+", "duration_ms: MS", done.out).split("\n")
        self.assertEqual(
            lines,
            [
                "TAP version 14",
                "ok 1 - ./a_test.lua: test_1",
                "not ok 2 - ./a_test.lua: test_2",
                "  ---",
                "  message: |2",
                "    ./a_test.lua:3: first",
                "    second # \\xff",
                "  duration_ms: MS",
                "  output: |2",
                "    said\\x00",
                "  ...",
                "ok 3 - ./a_test.lua: test_3 # SKIP a \\# reason",
                "1..3",
                "# seed 1",
                "# 1 passed, 1 failed, 1 skipped",
            ],
        )

    def test_junit(self):
        self.files(
            a="""return {
                test_1 = function() end,
                test_2 = function() print "<\\27[1m\\200&>" error "it's \\"<bad>\\"\\0" end,
                test_3 = function() require("pipehost.test").skip "reason" end,
            }""",
            b="error 'not loaded'",
        )
        path = os.path.join(self.folder, "report.xml")
        done = self.run_tests("--junit", phtest.native(path), ".", cwd=self.folder)
        self.assertEqual(done.out.split("\n")[-1], "1 passed, 2 failed, 1 skipped")
        suites = ElementTree.parse(path).getroot()
        first, second = suites
        self.assertEqual(
            [first.get(key) for key in ("name", "tests", "failures", "skipped")], ["./a_test.lua", "3", "1", "1"]
        )
        self.assertEqual([case.get("name") for case in first], ["test_1", "test_2", "test_3"])
        self.assertEqual(len(list(first[0])), 0)
        failure = first[1].find("failure")
        self.assertEqual(failure.get("message"), "it's \"<bad>\"\\x00")
        self.assertEqual(failure.text, "./a_test.lua:3: it's \"<bad>\"\\x00")
        self.assertEqual(first[1].find("system-out").text, "<\\x1b[1m\\xc8&>\n")
        self.assertEqual(first[2].find("skipped").get("message"), "reason")
        self.assertEqual(second[0].get("name"), "(the file)")
        self.assertRegex(second[0].find("failure").text, "not loaded")

    def test_junit_that_cannot_be_written(self):
        folder = self.files(a="return { test = function() end }")
        done = self.run_tests("--junit", "no/such/folder.xml", folder)
        self.assertEqual(done.status, 1)
        self.assertIn("--junit", done.err)

    def test_wrong_options(self):
        for arguments in (["--jobs", "0"], ["--timeout", "x"], ["--repeat", "1.5"], ["--seed", "-1"]):
            done = self.run_tests(*arguments, ".")
            self.assertEqual((done.status, done.out), (2, ""), arguments)

    def test_files_side_by_side(self):
        """Each waits until both have begun."""
        text = """
            local lfs = require "lfs"
            local pipe = require "pipehost.pipe"
            local t = require "pipehost.test"
            return { test_meets = function()
              lfs.mkdir("%s")
              t.eventually(function() return lfs.attributes("%s") end, 20000)
            end }"""
        self.files(a=text % ("a", "b"), b=text % ("b", "a"))
        done = self.run_tests("--jobs", "2", ".", cwd=self.folder)
        self.assertEqual(done.out.split("\n")[-1], "2 passed, 0 failed", done)

    def test_exclusive(self):
        """Never two at once, in whatever file; waiting is not held against a test."""
        text = """
            local lfs = require "lfs"
            local pipe = require "pipehost.pipe"
            local t = require "pipehost.test"
            local tests = {}
            for i = 1, 2 do
              tests["test_" .. i] = function()
                t.exclusive(%s)
                assert(lfs.mkdir "lock", "another one is there")
                t.defer(function() lfs.rmdir "lock" end)
                pipe.sleep(600)
              end
            end
            return tests"""
        self.files(a=text % '"Fixed"', b=text % '"fixed"', c=text % '"FIXED"')
        done = self.run_tests("--jobs", "3", "--timeout", "1500", ".", cwd=self.folder)
        self.assertEqual(done.out.split("\n")[-1], "6 passed, 0 failed", done)

    def test_two_that_wait_for_each_other(self):
        text = """
            local pipe = require "pipehost.pipe"
            local t = require "pipehost.test"
            return { test = function()
              t.exclusive "%s"
              pipe.sleep(700)
              t.exclusive "%s"
            end }"""
        self.files(a=text % ("first", "second"), b=text % ("second", "first"))
        done = self.run_tests("--jobs", "2", "--timeout", "1000", ".", cwd=self.folder)
        self.assertRegex(done.out, "other tests have kept '(first|second)' for too long")
        self.assertIn("failed", done.out.split("\n")[-1])

    def test_exclusive_name_that_is_served(self):
        name = self.pipe_name()
        self.write_file("other.lua", f'require("pipehost").server {{ name = "{name}", on_message = print }}')
        server = self.start("serve", phtest.native(os.path.join(self.folder, "other.lua")))
        server.wait_for("serving 1 script")
        self.files(a=f'return {{ test = function() require("pipehost.test").exclusive "{name}" end }}')
        done = self.run_tests("--no-isolation", ".", cwd=self.folder)
        self.assertIn(f"somebody outside of this run serves the pipe '{name}' already", done.out)
        self.assertEqual(server.stop(), 0)

    def test_a_folder_of_pipes_for_each_file(self):
        if phtest.WINDOWS:
            self.skipTest("names are shared there")
        text = """
            local pipe = require "pipehost.pipe"
            local t = require "pipehost.test"
            return { test = function()
              local server <close> = assert(pipe.create "Fixed")
              pipe.sleep(500)
              t.assertNotStrContains(server:info().path, "%s")
            end }"""
        self.files(a=text % self.pipes, b=text % self.pipes)
        done = self.run_tests("--jobs", "2", ".", cwd=self.folder)
        self.assertEqual(done.out.split("\n")[-1], "2 passed, 0 failed", done)

    def test_watch(self):
        """What depends on the changed file is run again, and nothing else."""
        self.files(
            a="local n = require 'shared' return { test_a = function() assert(n == 1, 'n is ' .. n) end }",
            b="return { test_b = function() end }",
            c="local n = require 'shared' return { test_c = function() assert(n < 3) end }",
        )
        shared = self.write_file("shared.lua", "return 1")
        process = self.start("test", "--watch", "--jobs", "1", "--seed", "1", ".", cwd=self.folder)
        process.wait_for("3 passed, 0 failed", 30)
        process.wait_for("waiting for a change", 30)
        self.write_file("shared.lua", "return 22 - 20")
        process.wait_for("n is 2", 30)
        process.wait_for("1 passed, 1 failed", 30)
        process.wait_for("waiting for a change", 30)
        self.write_file("c_test.lua", "local n = require 'shared' return { test_new = function() end }")
        process.wait_for("^ok - ./c_test.lua: test_new", 30)
        process.wait_for("1 passed, 0 failed", 30)
        process.wait_for("waiting for a change", 30)
        os.rename(self.write_file("other", "return 4 - 3"), shared)
        process.wait_for("^ok - ./a_test.lua: test_a", 30)
        process.wait_for("^ok - ./c_test.lua: test_new", 30)
        process.wait_for("2 passed, 0 failed", 30)
        process.wait_for("waiting for a change", 30)
        self.write_file("d_test.lua", "return { test_d = function() end }")
        process.wait_for("^ok - ./d_test.lua: test_d", 30)
        process.wait_for("waiting for a change", 30)
        self.assertEqual(process.stop(), 0, process)
        self.assertEqual(process.out.count("test_b"), 1)

    def test_watch_a_script_that_a_child_serves(self):
        self.write_file("server.lua", 'require("pipehost").server { name = "x", on_message = function() return "1" end }')
        self.files(
            a="""
                local pipehost, t = require "pipehost", require "pipehost.test"
                return { test = function()
                  local name = t.name()
                  t.server("server.lua", { names = { x = name }, child = true })
                  print("it says " .. pipehost.pipe.call(name, "?", { timeout = 10000 }))
                end }"""
        )
        process = self.start("test", "-v", "--watch", "--jobs", "1", ".", cwd=self.folder)
        process.wait_for("it says 1", 30)
        process.wait_for("waiting for a change", 30)
        self.write_file("server.lua", 'require("pipehost").server { name = "x", on_message = function() return "2" end }')
        process.wait_for("it says 2", 30)
        process.wait_for("waiting for a change", 30)
        self.assertEqual(process.stop(), 0, process)

    def test_progress_on_a_terminal(self):
        if phtest.WINDOWS:
            self.skipTest("Wine has no terminal here")
        self.files(a='return { test_waits = function() require("pipehost.pipe").sleep(1500) end }')
        ours, theirs = pty.openpty()
        command = phtest.PIPEHOST + ["test", "--jobs", "1", "."]
        process = subprocess.Popen(
            command, cwd=self.folder, env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=theirs
        )
        os.close(theirs)
        out, _ = process.communicate(timeout=60)
        shown = os.read(ours, 1 << 16).decode()
        os.close(ours)
        self.assertEqual(out.decode(), "ok - ./a_test.lua: test_waits\n1 passed, 0 failed\n")
        self.assertRegex(shown, r"0 done \| a_test.lua: test_waits")
        self.assertTrue(shown.endswith("\r\x1b[K"), repr(shown))

    def test_interrupted(self):
        self.files(a='return { test = function() print "begun" require("pipehost.pipe").event():wait() end }')
        process = self.start("test", "--jobs", "1", "-v", ".", cwd=self.folder)
        phtest.eventually(lambda: self.children(process), what="the file's process")
        status = process.stop()
        self.assertEqual(status, 1, process)
        self.assertRegex(process.out, "interrupted; not run: (nothing|1 test of files that were begun)")
        self.assertRegex(process.out.split("\n")[-1], "^0 passed, ")

    def children(self, process):
        """Is there a process with our folder's pipes that is not ours?"""
        if phtest.WINDOWS:
            import time

            time.sleep(3)
            return True
        with open(f"/proc/{process.pid}/task/{process.pid}/children") as file:
            return file.read().split()

    def test_nothing_is_left(self):
        text = 'return { test = function() local t = require "pipehost.test" io.open(t.tmpdir() .. "/x", "w") end }'
        self.files(a=text)
        temporary = os.path.join(self.folder, "temporary")
        os.mkdir(temporary)
        if phtest.WINDOWS:
            env = dict(self.env, TMP=phtest.native(temporary))
        else:
            env = dict(self.env, TMPDIR=temporary)
        done = self.run_tests(".", cwd=self.folder, env=env)
        self.assertEqual(done.status, 0)
        self.assertEqual(os.listdir(temporary), [])


add_files()

if __name__ == "__main__":
    phtest.main()
