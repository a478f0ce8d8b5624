#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# run.py: timeout=300
"""`init`: what it makes works at once, and nothing is overwritten."""

import json
import os

import cli
import phtest

FILES = ["server.lua", "client.lua", "server_test.lua", "README.md", ".luarc.json"]


class Init(cli.Case):
    def make(self, *arguments):
        """Runs it in the test's folder, and returns what it printed."""
        done = self.run_pipehost("init", *arguments, cwd=self.folder)
        self.assertEqual((done.status, done.err), (0, ""), done)
        return done.out.splitlines()

    def read(self, *path):
        with open(os.path.join(self.folder, *path), encoding="utf-8") as file:
            return file.read()

    def test_what_it_says(self):
        lines = self.make("greeter")
        self.assertEqual(lines[: len(FILES)], ["made greeter/" + name for name in FILES])
        self.assertEqual(
            lines[len(FILES) :],
            [
                "",
                "Next:",
                "  pipehost serve greeter --watch",
                "  pipehost run greeter/client.lua ann bob",
                "  pipehost test greeter",
            ],
        )

    def test_it_works_at_once(self):
        name = self.pipe_name()
        self.make(name, "--dir", "made here")
        folder = os.path.join(self.folder, "made here")
        server = self.start("serve", phtest.native(folder))
        server.wait_for("serving 1 script")
        client = phtest.native(os.path.join(folder, "client.lua"))
        done = self.run_pipehost("run", client, "ann", "bob")
        self.assertEqual(done.status, 0, done)
        self.assertEqual(done.out, "hello, ann (message 1)\nhello, bob (message 2)")
        done = self.run_pipehost("run", client)
        self.assertEqual(done.out, "hello, world (message 1)")
        self.assertEqual(server.stop(), 0, server)
        self.assertNotRegex(server.err, r"(?m)^\S+ (warn|error) ")
        done = self.run_pipehost("run", client)
        self.assertEqual(done.status, cli.TIMED_OUT, done)

    def test_a_change_is_seen_under_watch(self):
        name = self.pipe_name()
        self.make(name, "--dir", "greeter")
        folder = os.path.join(self.folder, "greeter")
        server = self.start("serve", phtest.native(folder), "--watch")
        server.wait_for("serving 1 script")
        client = phtest.native(os.path.join(folder, "client.lua"))
        self.assertEqual(self.run_pipehost("run", client, "ann").out, "hello, ann (message 1)")
        text = self.read("greeter", "server.lua")
        self.write_file("greeter/server.lua", text.replace("hello", "goodbye"))
        server.wait_for("generation 2 ")
        self.assertEqual(self.run_pipehost("run", client, "ann").out, "goodbye, ann (message 1)")
        self.assertEqual(server.stop(), 0, server)

    def test_the_test_passes(self):
        self.make("greeter")
        done = self.run_pipehost("test", phtest.native(self.folder))
        self.assertEqual(done.status, 0, done)
        self.assertRegex(done.out, "(?m)^2 passed, 0 failed$")

    def test_the_test_can_fail(self):
        self.make("greeter")
        text = self.read("greeter", "server.lua")
        self.write_file("greeter/server.lua", text.replace("hello", "goodbye"))
        done = self.run_pipehost("test", phtest.native(self.folder))
        self.assertEqual(done.status, 1, done)
        self.assertRegex(done.out, "(?m)^0 passed, 2 failed$")

    def test_the_scripts_are_checked(self):
        self.make("greeter")
        for name in FILES[:3]:
            path = phtest.native(os.path.join(self.folder, "greeter", name))
            done = self.run_pipehost("check", path)
            self.assertEqual(done.status, 0, done)

    def test_nothing_is_overwritten(self):
        self.write_file("greeter/server.lua", "-- mine\n")
        self.write_file("greeter/.pipehost/pipe.lua", "-- mine too\n")
        lines = self.make("greeter")
        self.assertEqual(lines[:2], ["kept greeter/server.lua", "made greeter/client.lua"])
        self.assertEqual(self.read("greeter", "server.lua"), "-- mine\n")
        self.assertEqual(self.read("greeter", ".pipehost", "pipe.lua"), "-- mine too\n")
        self.write_file("greeter/client.lua", "-- and this\n")
        lines = self.make("greeter")
        self.assertEqual(lines[: len(FILES)], ["kept greeter/" + name for name in FILES])
        self.assertEqual(self.read("greeter", "client.lua"), "-- and this\n")

    def test_folders(self):
        for given, folder in (
            ("a/b/c", "a/b/c"),
            ("größe/ü", "größe/ü"),
            ("ends/", "ends"),
            (".", "."),
            ("50%", "50%"),
        ):
            with self.subTest(given):
                lines = self.make("greeter", "--dir", given)
                self.assertEqual(lines[0], f"made {folder}/server.lua")
                self.assertEqual(lines[-1], f"  pipehost test {folder}")
                self.assertIn('"greeter"', self.read(folder, "server.lua"))

    def test_what_the_editor_gets(self):
        self.make("greeter")
        settings = json.loads(self.read("greeter", ".luarc.json"))
        self.assertEqual(settings["runtime"]["version"], "Lua 5.4")
        (library,) = settings["workspace"]["library"]
        ours = os.path.join(phtest.ROOT, "scripts", "pipehost", "meta")
        names = sorted(os.listdir(ours))
        self.assertEqual(sorted(os.listdir(os.path.join(self.folder, "greeter", library))), names)
        for name in names:
            with open(os.path.join(ours, name), encoding="utf-8") as file:
                self.assertEqual(self.read("greeter", library, name), file.read())

    def test_names_that_are_none(self):
        for name in ("a b", "../x", "a/b", "ü", '"', "-", "n" * 101):
            with self.subTest(name):
                done = self.run_pipehost("init", "--dir", "x", "--", name, cwd=self.folder)
                self.assertEqual(done.status, cli.USAGE, done)
                self.assertRegex(done.err, "^pipehost: init .*letters, digits")
                self.assertFalse(os.path.exists(os.path.join(self.folder, "x")))

    def test_a_file_is_in_the_way(self):
        self.write_file("greeter", "")
        done = self.run_pipehost("init", "greeter", cwd=self.folder)
        self.assertEqual(done.status, cli.FAILED, done)
        self.assertRegex(done.err, "^pipehost: greeter.*: .+")
        self.assertEqual(self.read("greeter"), "")


if __name__ == "__main__":
    phtest.main()
