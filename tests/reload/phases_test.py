#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# run.py: timeout=400
"""A reload that fails, in each of its phases: the old generation answers the
next message, its number stays, the error says where, the next good save is
taken."""

import os

import reload
from reload import ANSWERS, FAILED, SCRIPT_ERROR, UNAVAILABLE

MIGRATING = """
local pipehost = require "pipehost"
pipehost.server {
  name = pipehost.config.pipe,
  state_version = %d,
  migrate = {
    function(state)
      if state.bad then
        error "this one cannot come"
      end
      return { text = "from 1: " .. state.text }
    end,
  },
  on_message = function(conn, message)
    if message:match "^set " then
      conn.state.text = message:sub(5)
    end
    conn.state.bad = message == "set bad" or nil
    return conn.generation .. " " .. tostring(conn.state.text)
  end,
}
"""


class Phases(reload.Case):
    def fails(self, text, pattern, status=SCRIPT_ERROR, first=ANSWERS % "v1", options=()):
        """The client that is connected is answered by the first generation
        before and after the bad save, and by the second after the good one."""
        self.serve(first, *options)
        puppet = self.puppet()
        puppet.open("a", self.pipe)
        self.assertEqual(puppet.ask("a", "one"), "v1 1 one")
        self.save("server.lua", text)
        said = self.reload_fails(pattern, status)
        self.assertIn("generation 1 stays active (1 connection)", said)
        self.assertEqual(puppet.ask("a", "two"), "v1 1 two")
        self.assertEqual(self.generation(), 1)
        self.answers("^v1 1 hello$", puppet)
        self.save("server.lua", ANSWERS % "v2")
        self.reload()
        self.assertEqual(puppet.ask("a", "three"), "v2 2 three")
        self.assertEqual(self.generation(), 2)
        self.assertNotIn("last_error", self.ctl_json("status")["scripts"][0])
        return said

    def test_syntax_error(self):
        said = self.fails(
            "local a = 1\nlocal b = = 2\n", r"server\.lua:2: unexpected symbol near '='"
        )
        self.assertIn("\n    2 | local b = = 2\n      |           ^", said)

    def test_runtime_error(self):
        said = self.fails(
            "local config = {}\nprint(config.log.level)\n",
            r"server\.lua:2: attempt to index a nil value \(field 'log'\)",
        )
        self.assertIn("\n    2 | print(config.log.level)\n      |              ^", said)

    def test_endless_loop(self):
        self.fails(
            "local n = 0\nwhile true do\n  n = n + 1\nend\n",
            r"server\.lua:[23]: budget: .* longer than 2000 ms while loading",
        )

    def test_endless_loop_that_catches_errors(self):
        self.fails(
            "while true do\n  pcall(function() while true do end end)\nend\n", r"server\.lua:2: budget"
        )

    def test_more_memory_than_allowed(self):
        self.fails(
            "local t = {}\nfor i = 1, 1e9 do\n  t[i] = ('x'):rep(1000) .. i\nend\n",
            r"server\.lua:3: nomem: .* 64 MiB",
        )

    def test_missing_module(self):
        said = self.fails(
            'local x = 1\nlocal y = require "no.such"\n',
            r"server\.lua:2: module 'no\.such' not found.*no/such\.lua",
        )
        self.assertIn('\n    2 | local y = require "no.such"', said)

    def test_error_in_a_module_of_a_module(self):
        self.write_file("outer.lua", 'local inner = require "inner"\nreturn inner\n')
        self.write_file("inner.lua", "return {\n  a = 1\n  b = 2,\n}\n")
        said = self.fails(
            'require "outer"\n', r"inner\.lua:3: '}' expected \(to close '{' at line 1\) near 'b'"
        )
        self.assertRegex(
            said, r"\| +\^\nrequired from .*outer\.lua:1\nrequired from .*server\.lua:1$"
        )

    def test_nothing_declared(self):
        self.fails("local nothing = true\n", r"server\.lua: declares no pipehost\.server")

    def test_declared_twice(self):
        self.fails(
            (ANSWERS % "v2") * 2, r"server\.lua:\d+: pipehost\.server: .*declares '.*' twice"
        )

    def test_pipes_while_loading(self):
        self.fails(
            'local pipe = require("pipehost").pipe\npipe.open("x")\n',
            r"server\.lua:2: pipe\.open: not while loading; use pipehost\.on_start",
        )

    def test_waiting_for_ever_while_loading(self):
        self.fails(
            'local pipe = require("pipehost").pipe\npipe.event():wait()\n',
            r"server\.lua:2: .*event:wait: not while loading; use pipehost\.on_start",
        )

    def test_yielding_for_ever_while_loading(self):
        self.fails(
            "while true do\n  coroutine.yield()\nend\n", r"server\.lua: it was not loaded within 30 s"
        )

    def test_name_of_another_server(self):
        other = self.pipe_name()
        path = self.save("other.lua", ANSWERS % "other")
        server = self.start(
            "serve", path, "--set", "pipe=" + other, "--control", self.pipe_name()
        )
        server.wait_for("serving 1 script")
        text = (ANSWERS % "v2") + (ANSWERS % "v2").replace("pipehost.config.pipe", f'"{other}"')
        self.fails(
            text, rf"server\.lua:\d+: .*{other}: another server has this name already \(exists",
            UNAVAILABLE,
        )

    def test_unknown_option(self):
        said = self.fails(
            (ANSWERS % "v2").replace("on_message", "on_mesage"),
            r"server\.lua:3: pipehost\.server: unknown option 'on_mesage' \(did you mean 'on_message'",
        )
        self.assertIn("\n    5 |   on_mesage = function", said)

    def test_file_gone(self):
        self.serve()
        puppet = self.puppet()
        puppet.open("a", self.pipe)
        os.remove(self.path("server.lua"))
        self.reload_fails(r"server\.lua: there is no such script")
        self.assertEqual(puppet.ask("a", "two"), "v1 1 two")
        self.save("server.lua", ANSWERS % "v2")
        self.reload()
        self.assertEqual(puppet.ask("a", "three"), "v2 2 three")


class Migration(reload.Case):
    def test_that_fails_in_the_trial(self):
        self.serve(MIGRATING % 1)
        puppet = self.puppet()
        puppet.open("a", self.pipe)
        puppet.ask("a", "set bad")
        self.save("server.lua", MIGRATING % 2)
        said = self.reload_fails(r"server\.lua:9: this one cannot come")
        self.assertIn("generation 1 stays active", said)
        self.assertEqual(puppet.ask("a", "get"), "1 bad")
        self.assertIn("generation 2 (changed: ", self.reload())
        self.assertEqual(puppet.ask("a", "get"), "2 from 1: bad")

    def test_that_is_missing(self):
        self.serve((MIGRATING % 1).replace("state_version = 1", "state_version = 3"))
        puppet = self.puppet()
        puppet.open("a", self.pipe)
        self.save("server.lua", MIGRATING % 4)
        self.reload_fails(r"there is no migrate\[3\] from state_version 3 to 4")
        self.save("server.lua", MIGRATING % 2)
        self.reload_fails(r"state_version went back from 3 to 2")
        self.assertEqual(puppet.ask("a", "set x"), "1 x")

    def test_that_fails_for_one_connection(self):
        """It was not among those that were tried: it stays, the others cross."""
        self.serve(MIGRATING % 1)
        puppet = self.puppet()
        for i in range(40):
            puppet.open(f"c{i}", self.pipe)
        puppet.ask("c0", "set bad")
        for i in range(1, 40):
            self.assertEqual(puppet.ask(f"c{i}", f"set {i}"), f"1 {i}")
        self.save("server.lua", MIGRATING % 2)
        self.reload()
        for i in range(1, 40):
            self.assertEqual(puppet.ask(f"c{i}", "get"), f"2 from 1: {i}")
        self.assertEqual(puppet.ask("c0", "get"), "1 bad")
        self.server.wait_for(r"warn .*connection 1 stays on this generation.*this one cannot come")
        alive = self.ctl_json("generations")["generations"]
        self.assertEqual([(a["generation"], a["clients"]) for a in alive], [(2, 39), (1, 1)])
        puppet.do("close", "c0")
        reload.phtest.eventually(
            lambda: len(self.ctl_json("generations")["generations"]) == 1, what="the end of 1"
        )

    def test_state_that_cannot_be_cloned(self):
        """Such a connection stays where it is, and hinders nobody."""
        text = MIGRATING.replace(
            "conn.state.text = message:sub(5)",
            "conn.state.text = message:sub(5)\n      conn.state.fn = message == 'set fn' and print or nil",
        )
        self.serve(text % 1)
        puppet = self.puppet()
        puppet.open("a", self.pipe)
        puppet.open("b", self.pipe)
        puppet.ask("a", "set fn")
        puppet.ask("b", "set b")
        self.save("server.lua", text % 2)
        self.reload()
        self.assertEqual(puppet.ask("a", "get"), "1 fn")
        self.assertEqual(puppet.ask("b", "get"), "2 from 1: b")
        self.server.wait_for(r"connection 1 stays on this generation: .*fn is a function")


if __name__ == "__main__":
    reload.phtest.main()
