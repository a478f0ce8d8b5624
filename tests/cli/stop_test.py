#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# run.py: timeout=300
"""Stopping: who is in the middle gets the reply, the log says so, and nothing
is left. Under Wine SIGINT comes as Ctrl-C; there is no SIGTERM."""

import signal
import time

import cli
import phtest

SIGNALS = [signal.SIGINT] if phtest.WINDOWS else [signal.SIGINT, signal.SIGTERM]

IDLE_CLIENT = """
local pipe = require("pipehost").pipe
local conn = assert(pipe.open((...), { timeout = 10000 }))
print(assert(conn:transact "hello"))
local _, code = conn:receive()
print("then " .. code)
"""

SESSION = """
local pipehost = require "pipehost"
pipehost.server {
  name = pipehost.config.pipe,
  session = function(conn)
    for message in conn:messages() do
      pipehost.log.info "working"
      pipehost.pipe.sleep(tonumber(pipehost.config.ms))
      assert(conn:send("late " .. message))
    end
  end,
  on_close = function(_, reason) pipehost.log.info("closed for: " .. reason) end,
}
pipehost.on_stop(function()
  pipehost.pipe.sleep(10)
  pipehost.log.info "on_stop has run"
end)
"""


class Stop(cli.Case):
    def begin(self, text, ms, *options):
        """A server whose handler takes ms, and a client that waits for it."""
        server, pipe = self.serve(text, "--set", f"ms={ms}", *options)
        client = self.start("run", self.script(cli.ASK, "ask.lua"), pipe, "reply")
        server.wait_for("working")
        return server, client

    def ended(self, server, pattern="stopped"):
        self.assertEqual(server.wait(), 0, server)
        self.assertRegex(server.err.splitlines()[-1], rf"info +{pattern}$")
        self.nothing_left()

    def gets_its_reply(self, text, stop):
        server, client = self.begin(text, 700)
        stop(server)
        server.wait_for("stopping; clients have 5000 ms")
        self.assertEqual(client.wait(), 0, (client, server))
        self.assertEqual(client.out, "late reply")
        self.ended(server)
        return server

    def test_signals(self):
        for number in SIGNALS:
            with self.subTest(number.name):
                self.gets_its_reply(cli.SLOW, lambda server, n=number: server.signal(n))

    def ctl_stop(self, server):
        name = server.err.rsplit("control pipe ", 1)[1].split()[0]
        self.ctl = self.start("ctl", "--control", name, "stop")

    def test_ctl(self):
        self.gets_its_reply(cli.SLOW, self.ctl_stop)
        self.assertEqual(self.ctl.wait(), 0, self.ctl)
        self.assertEqual(self.ctl.out, "stopping")

    def test_on_stop_and_on_close_run(self):
        server = self.gets_its_reply(SESSION, lambda server: server.signal(signal.SIGINT))
        self.assertIn("on_stop has run", server.err)
        self.assertRegex(server.err, "closed for: (stopped|closed)")

    def test_error_in_on_stop_is_logged(self):
        text = cli.ECHO + 'pipehost.on_stop(function() error "cannot stop" end)\n'
        server, _ = self.serve(text)
        server.signal(signal.SIGINT)
        self.ended(server)
        self.assertRegex(server.err, r"error server\.lua#1: .*server\.lua:7: cannot stop")

    def test_a_client_that_is_idle(self):
        server, pipe = self.serve(cli.ECHO)
        client = self.start("run", self.script(IDLE_CLIENT, "idle.lua"), pipe)
        client.wait_for("^hello$")
        begin = time.monotonic()
        server.signal(signal.SIGINT)
        self.assertEqual(client.wait(), 0, client)
        self.assertIn("then closed", client.out)
        self.ended(server)
        self.assertLess(time.monotonic() - begin, 2 * phtest.SLOW)

    def test_drain_has_an_end(self):
        server, client = self.begin(cli.SLOW, 60000, "--drain", "300")
        begin = time.monotonic()
        server.signal(signal.SIGINT)
        server.wait_for("stopping; clients have 300 ms")
        self.assertEqual(client.wait(), cli.FAILED, client)
        self.assertRegex(client.err, "closed")
        self.ended(server)
        self.assertLess(time.monotonic() - begin, 4 * phtest.SLOW)

    def test_no_drain(self):
        server, client = self.begin(cli.SLOW, 60000, "--drain", "0")
        server.signal(signal.SIGINT)
        self.assertEqual(client.wait(), cli.FAILED, client)
        self.ended(server)

    def test_second_signal_stops_at_once(self):
        server, client = self.begin(cli.SLOW, 60000, "--drain", "50000")
        begin = time.monotonic()
        server.signal(signal.SIGINT)
        server.wait_for("stopping")
        server.signal(signal.SIGINT)
        self.assertEqual(client.wait(), cli.FAILED, client)
        self.ended(server, "stopped at once")
        self.assertLess(time.monotonic() - begin, 5 * phtest.SLOW)

    def test_no_new_clients_while_it_drains(self):
        server, client = self.begin(cli.SLOW, 4000)
        server.signal(signal.SIGINT)
        server.wait_for("stopping")
        pipe = server.command[server.command.index("--set") + 1].split("=")[1]
        text = """
local pipe = require("pipehost").pipe
return pipe.call((...), "late", { wait = "no", timeout = 10000 })
"""
        done = self.run_pipehost("run", self.script(text, "late.lua"), pipe)
        self.assertIn(done.status, (cli.FAILED, cli.UNAVAILABLE), done)
        self.assertRegex(done.err, "closed|absent|busy")
        self.assertTrue(client.running(), "the late one waited for the end")
        self.assertEqual(client.wait(), 0, client)
        self.ended(server)

    def test_several_scripts(self):
        one, two = self.pipe_name(), self.pipe_name()
        text = cli.SLOW.replace("pipehost.config.pipe", '"%s"')
        first = self.script(text % one, "first.lua")
        second = self.script(text % two, "second.lua")
        server = self.start("serve", first, second, "--set", "ms=500")
        server.wait_for("serving 2 scripts")
        ask = self.script(cli.ASK, "ask.lua")
        clients = [self.start("run", ask, name, "reply") for name in (one, two)]
        server.wait_for("working")
        server.wait_for("working")
        server.signal(signal.SIGINT)
        for client in clients:
            self.assertEqual((client.wait(), client.out), (0, "late reply"), client)
        self.ended(server)

    def test_while_it_runs_a_script(self):
        for number in SIGNALS:
            with self.subTest(number.name):
                text = 'print "waiting"\nrequire("pipehost").pipe.sleep(60000)\n'
                process = self.start("run", self.script(text))
                process.wait_for("waiting")
                process.signal(number)
                self.assertEqual(process.wait(), cli.FAILED, process)
                self.assertEqual(process.err, "pipehost: interrupted")

    def test_run_drains_what_its_script_serves(self):
        text = cli.SLOW.replace("pipehost.config.pipe", "(...)") + """
pipehost.on_stop(function() print "on_stop" end)
while not asked do pipehost.pipe.sleep(1) end
"""
        text = text.replace('pipehost.log.info "working"', "asked = true")
        pipe = self.pipe_name()
        host = self.start("run", "--set", "ms=300", self.script(text, "host.lua"), pipe)
        self.assertEqual(self.ask(pipe, "reply"), "late reply")
        self.assertEqual((host.wait(), host.out), (0, "on_stop"), host)
        self.nothing_left()


if __name__ == "__main__":
    phtest.main()
