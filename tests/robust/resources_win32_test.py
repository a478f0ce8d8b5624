#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# run.py: timeout=240
"""What clients cost a server, and what the programs that a script starts get of
it. CPU time is measured, of the process that Wine runs it in."""

import sys
import time

import common
import phtest

IDLE_SHARE = 0.05

SERVER = """
local pipehost = require "pipehost"
pipehost.server {
  name = pipehost.config.pipe, session = function(conn)
    local message = assert(conn:receive())
    conn:send(message)
    if message == "stay" then pipehost.pipe.event():wait() end
  end,
}
pipehost.server {
  name = pipehost.config.pipe .. "-echo", on_message = function(_, message) return message end,
}
"""

# 100 clients that are answered and then idle; half of them go on "go".
CLIENTS = """
local pipe = require("pipehost").pipe
local conns = {}
for i = 1, 100 do
  conns[i] = assert(pipe.open((...), { timeout = 20000, wait = "free" }))
  assert(conns[i]:transact "stay" == "stay")
end
print "idle"
io.read()
for i = 1, 50 do conns[i]:close() end
print "half"
io.read()
"""

# Its child lives on; what the script has closed must be closed all the same.
PARENT = """
local pipe = require("pipehost").pipe
local name, program, child = ...
local server = assert(pipe.create(name))
local connecting = server:connect_op()
local conn = assert(pipe.open(name))
assert(connecting:wait(5000))
local started = assert(io.popen(('""%s" run "%s""'):format(program, child)))
print("child " .. started:read())
conn:close()
print(server:receive(5000))
server:close()
print(pipe.open(name))
io.stdout:flush()
os.exit(0)
"""


class Case(phtest.TestCase):
    def script(self, text, name):
        return phtest.native(self.write_file(name, text))


class Busy(Case):
    def quiet(self, server):
        """It computes next to nothing while nothing happens."""
        phtest.eventually(lambda: common.idle_share(server.pid) < IDLE_SHARE, what="idleness")
        self.assertLess(common.idle_share(server.pid), IDLE_SHARE)

    def echo(self, pipe):
        ask = 'print(require("pipehost").pipe.call((...), "hello", { timeout = 20000 }))'
        done = self.run_pipehost("run", self.script(ask, "ask.lua"), pipe + "-echo")
        self.assertEqual((done.status, done.out), (0, "hello"), done)

    def test_100_idle_clients(self):
        pipe = self.pipe_name()
        server = self.start("serve", self.script(SERVER, "server.lua"), "--set", "pipe=" + pipe)
        server.wait_for("serving 1 script")
        # It is a process that computes: the measure is one.
        self.assertGreater(common.cpu_seconds(server.pid), 0)
        self.quiet(server)
        clients = self.start("run", self.script(CLIENTS, "clients.lua"), pipe, stdin=-1)
        clients.wait_for("idle", 60)
        self.quiet(server)
        clients.write(b"go\n")
        clients.wait_for("half")
        self.quiet(server)
        self.echo(pipe)
        clients.kill()
        self.quiet(server)
        self.echo(pipe)
        server.stop()


class Children(Case):
    def test_handles_are_not_inherited(self):
        child = self.script('print "here" io.stdout:flush() require("pipehost").pipe.sleep(8000)', "c.lua")
        parent = self.script(PARENT, "parent.lua")
        begin = time.monotonic()
        program = phtest.native(phtest.PIPEHOST[-1])
        process = self.start("run", parent, self.pipe_name(), program, child)
        process.wait_for("child here")
        process.wait_for("^nil\tclosed\t")
        process.wait_for("^nil\tabsent\t")
        self.assertLess(time.monotonic() - begin, 8, "the child has ended meanwhile")
        process.kill()


if __name__ == "__main__":
    if not phtest.WINDOWS:
        sys.exit("resources_win32_test.py: PH_SYSTEM is not windows")
    phtest.main()
