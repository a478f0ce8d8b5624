# SPDX-License-Identifier: MIT
"""The examples, and the code of README.md and the guide, do what they say.

run.py: timeout=60

In a document, a comment before a block of Lua names its file and its use:
    <!-- serve: NAME -->   served by one `pipehost serve` with the others
    <!-- run: NAME -->     then run; what it prints is the block that follows
                           <!-- output -->, where there is one; all at once
    <!-- test: NAME -->    run by `pipehost test`, at the same time
    <!-- file: NAME -->    only there to be required
    $ echo TEXT | pipehost connect NAME    in a block of its own, with what it prints
    <!-- next: NAME -->    what a served file becomes, by a reload after all that
"""

import os
import re
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import phtest  # noqa: E402

EXAMPLES = os.path.join(phtest.ROOT, "scripts", "examples")
BLOCK = re.compile(
    r"<!-- (serve|run|test|file|next): (\S+) -->\n```lua\n(.*?)^```$"
    r"(?:\s*<!-- output -->\n```text\n(.*?)^```$)?",
    re.MULTILINE | re.DOTALL,
)


def read(*path):
    with open(os.path.join(phtest.ROOT, *path), encoding="utf-8") as file:
        return file.read()


class Documents(phtest.TestCase):
    def play(self, *path):
        text = read(*path)
        blocks = BLOCK.findall(text)
        marks = re.findall(r"<!-- (?:serve|run|test|file|next):", text)
        self.assertEqual(len(blocks), len(marks), "a mark without its block")
        outputs = sum(1 for block in blocks if block[3])
        self.assertEqual(text.count("<!-- output -->"), outputs, "an output that is not checked")
        uses = {"serve": [], "run": [], "test": [], "file": []}
        for use, name, code, output in blocks:
            if use != "next":
                uses[use].append((phtest.native(self.write_file(name, code)), output))
        served = [path for path, _ in uses["serve"]]
        control = self.pipe_name()
        server = self.start("serve", *served, "--control", control)
        server.wait_for(r"serving %d script" % len(served))
        started = [
            (self.start(use, path), path, output)
            for use in ("run", "test")
            for path, output in uses[use]
        ]
        for process, path, output in started:
            self.assertEqual(process.wait(), 0, (path, process))
            if output:
                self.assertEqual(process.out, output.strip("\n"), path)
        for said, name, heard in re.findall(
            r"^    \$ echo (\S+) \| pipehost connect (\S+)\n    (.*)$", text, re.M
        ):
            done = self.run_pipehost("connect", name, text=said.encode() + b"\n")
            self.assertEqual((done.status, done.out), (0, heard), done)
        for use, name, code, output in blocks:
            if use == "next":
                path = phtest.native(self.write_file(name, code))
                done = self.run_pipehost("ctl", "--control", control, "reload", path)
                self.assertEqual(done.status, 0, done)
                self.assertRegex(done.out, "generation 2 ")
        self.assertEqual(server.stop(), 0, server)
        self.assertNotRegex(server.err, r"(?m)^\S+ error ", path)

    def test_readme(self):
        self.play("README.md")

    def test_guide(self):
        self.play("docs", "guide.md")

    @unittest.skipIf(phtest.WINDOWS, "systemd is of Linux")
    def test_unit(self):
        """The commands of the unit, in its order, without systemd."""
        unit = re.search(r"<!-- unit -->\n```ini\n(.*?)^```$", read("docs", "guide.md"), re.M | re.S)
        commands = dict()
        for key, line in re.findall(r"^(Exec\w+)=(.*)$", unit.group(1), re.M):
            words = line.replace("/etc/pipehost", self.folder).split()
            self.assertEqual(words[0], "/usr/bin/pipehost")
            commands[key] = words[1:]
        self.env["PIPEHOST_DIR"] = self.pipes
        text = 'require("pipehost").server { name = "Unit", on_message = function() return "%s" end }'
        self.write_file("server.lua", text % "old")
        self.assertEqual(self.run_pipehost(*commands["ExecStartPre"]).status, 0)
        server = self.start(*commands["ExecStart"])
        server.wait_for("serving 1 script, control pipe main")
        client = self.write_file("client.lua", 'print(require("pipehost").pipe.call("Unit", ""))')
        self.assertEqual(self.run_pipehost("run", client).out, "old")
        self.write_file("server.lua", text % "new")
        self.assertEqual(self.run_pipehost(*commands["ExecReload"]).status, 0)
        self.assertEqual(self.run_pipehost("run", client).out, "new")
        self.write_file("server.lua", "broken")
        done = self.run_pipehost(*commands["ExecReload"])
        self.assertEqual(done.status, 65, done)
        self.assertEqual(self.run_pipehost("run", client).out, "new")
        self.assertEqual(server.stop(), 0, server)

    def test_command_line(self):
        """The reference has every command and option that --help tells, README the commands."""
        told = self.run_pipehost("--help").out
        commands = re.findall(r"^   ([a-z]+) ", told.partition("Commands:")[2], re.M)
        self.assertIn("serve", commands)
        reference = read("docs", "reference.md").partition("## Command line")[2]
        readme = read("README.md").partition("## Commands")[2]
        missing = []
        for command in commands:
            if not re.search(r"(?m)^\| `%s[ `]" % command, reference):
                missing.append("docs/reference.md: " + command)
            if "    pipehost " + command not in readme:
                missing.append("README.md: " + command)
            told += self.run_pipehost(command, "--help").out
        options = set(re.findall(r"(?m)^ +(?:-\w, )?(--[a-z-]+)", told)) - {"--help"}
        self.assertIn("--drain", options)
        missing += [f"docs/reference.md: {o}" for o in options if not re.search(f"`{o}[` ]", reference)]
        self.assertEqual(missing, [])

    def test_links(self):
        for path in ("README.md", "docs/guide.md", "docs/operations.md", "docs/record.md", "docs/reference.md"):
            folder = os.path.dirname(os.path.join(phtest.ROOT, path))
            for target in re.findall(r"\]\(([^)#:]+)[^)]*\)", read(path)):
                self.assertTrue(os.path.exists(os.path.join(folder, target)), (path, target))


class Examples(phtest.TestCase):
    def serve(self, script, *options):
        name = self.pipe_name()
        server = self.start(
            "serve", phtest.native(os.path.join(EXAMPLES, script)), "--set", "pipe=" + name, *options
        )
        server.wait_for("serving 1 script")
        return server, name

    def client(self, script, *arguments, status=0):
        path = phtest.native(os.path.join(EXAMPLES, script))
        done = self.run_pipehost("run", path, *arguments)
        self.assertEqual(done.status, status, done)
        return done.out.split("\n")

    def test_echo(self):
        server, name = self.serve("echo_server.lua")
        self.assertEqual(self.client("echo_client.lua", name, "one", "", "zwölf"), ["one", "", "zwölf"])
        self.assertEqual(server.stop(), 0, server)

    def test_lines(self):
        server, name = self.serve("line_server.lua")
        self.assertEqual(
            self.client("line_client.lua", name, "1 2 3", "x", "1.5 2"),
            ["6", "error: 'x' is no number", "3.5"],
        )
        self.assertEqual(server.stop(), 0, server)

    def test_calc(self):
        server, name = self.serve("calc_server.lua")
        self.assertEqual(self.client("calc_client.lua", name, "6", "multiply", "7"), ["42"])
        self.assertEqual(
            self.client("calc_client.lua", name, "6", "divide", "0", status=1), ["division_by_zero"]
        )
        self.assertEqual(server.stop(), 0, server)

    def test_proxy(self):
        echo, behind = self.serve("echo_server.lua")
        proxy, name = self.serve("proxy_server.lua", "--set", "to=" + behind)
        self.assertEqual(self.client("echo_client.lua", name, "one", "two"), ["one", "two"])
        for line in (r"> 6f 6e 65 .*connection=1$", r"< 6f 6e 65 ", r"> 74 77 6f ", r"< 74 77 6f "):
            proxy.wait_for(line)
        proxy.wait_for("ended by the client connection=1$")
        # A server that goes takes the client with it.
        script = self.write_file(
            "waits.lua",
            """
            local conn = assert(require("pipehost").pipe.open(..., { timeout = 10000 }))
            print(conn:transact "x")
            print(select(2, conn:receive(60000)))
            """,
        )
        client = self.start("run", phtest.native(script), name)
        client.wait_for("^x$")
        self.assertEqual(echo.stop(), 0, echo)
        client.wait_for(r"^closed\t")
        proxy.wait_for("ended by the server connection=2$")
        self.assertEqual(proxy.stop(), 0, proxy)

    def test_proxy_to_nobody(self):
        proxy, name = self.serve("proxy_server.lua", "--set", "to=" + self.pipe_name())
        done = self.run_pipehost(
            "run", phtest.native(os.path.join(EXAMPLES, "echo_client.lua")), name, "one"
        )
        self.assertEqual(done.status, 65, done)
        proxy.wait_for("warn .*no such pipe .*connection=1$")
        self.assertEqual(proxy.stop(), 0, proxy)

    def test_chat(self):
        server, name = self.serve("chat_server.lua")
        client = phtest.native(os.path.join(EXAMPLES, "chat_client.lua"))
        ann = self.start("run", client, name, "ann", "60000")
        ann.wait_for(r"^\* welcome, ann$")
        self.assertEqual(self.client("chat_client.lua", name, "bob", "0", "good morning"), ["* welcome, bob"])
        for line in (r"^\* bob joins$", r"^bob: good morning$", r"^\* bob leaves \(closed\)$"):
            ann.wait_for(line)
        self.assertEqual(server.stop(), 0, server)
        self.assertEqual(ann.wait(), 1, ann)


if __name__ == "__main__":
    phtest.main()
