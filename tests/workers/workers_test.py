#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# run.py: timeout=300 alone
"""`serve --workers`: clients spread over threads, and what reaches across them.
All that serve on Windows are in one space of names: nothing runs beside it."""

import json
import os
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import phtest  # noqa: E402

# A build with ThreadSanitizer: build.sh build threads.
THREADS = "/threads/" in phtest.PIPEHOST[-1]

SERVER = """
local pipehost = require "pipehost"
local shared = pipehost.shared "counts"
local calls = 0

local server
server = pipehost.server {
  name = pipehost.config.pipe, workers = "all", max_instances = 8, backlog = 2,
  on_message = function(conn, message)
    calls = calls + 1
    if message == "where" then
      return ("%d VERSION %d"):format(pipehost.worker, conn.id)
    elseif message == "calls" then
      return tostring(calls)
    elseif message == "keep" then
      conn.state.kept = (conn.state.kept or 0) + 1
      return tostring(conn.state.kept)
    elseif message:find "^count" then
      for _ = 1, 2000 do
        shared:update("n", function(n) return (n or 0) + 1 end)
        shared:add "m"
      end
      return ("%d %d"):format(shared:get "n", shared:get "m")
    elseif message == "raise" then
      shared:update("n", function() error "no" end)
    elseif message == "loop" then
      while true do end
    elseif message == "find" then
      return tostring(("a"):rep(30000):find(("a*"):rep(20) .. "b"))
    elseif message == "tell" then
      server:broadcast("news", conn)
      return "told"
    elseif message == "stop" then
      pipehost.pipe.spawn(function() server:stop(2000) end)
      return "stopping"
    end
  end,
}

pipehost.server {
  name = pipehost.config.pipe .. "-one",
  on_message = function() return tostring(pipehost.worker) end,
}
"""

# Clients in one process: reads "NUMBER MESSAGE" lines, "open", "close NUMBER",
# "receive NUMBER".
CLIENT = """
local pipehost = require "pipehost"
local pipe = pipehost.pipe
local name, conns = arg[1], {}
for line in io.lines() do
  local verb, rest = line:match "^(%S+) ?(.*)$"
  if verb == "open" then
    local conn, code = pipe.open(rest == "" and name or rest, { timeout = 5000, wait = "free" })
    conns[#conns + 1] = conn or false
    print(conn and #conns or code)
  elseif verb == "receive" then
    local message, code = conns[tonumber(rest)]:receive(5000)
    print(message or "nothing: " .. code)
  elseif verb == "close" then
    conns[tonumber(rest)]:close()
    print "closed"
  elseif verb == "storm" then
    local tasks, wrong = {}, 0
    for i, conn in ipairs(conns) do
      tasks[i] = pipe.spawn(function()
        for n = 1, tonumber(rest) do
          local answer = conn:transact("keep", 20000)
          wrong = wrong + (answer == tostring(n) and 0 or 1)
        end
      end)
    end
    pipe.wait_all(tasks)
    print("storm", wrong)
  elseif verb == "all" then
    local tasks = {}
    for i, conn in ipairs(conns) do
      tasks[i] = pipe.spawn(function() return conn:transact(rest, 20000) end)
    end
    for i, task in ipairs(tasks) do
      tasks[i] = select(2, task:wait())
    end
    print(table.concat(tasks, ","))
  else
    local answer, code = conns[tonumber(verb)]:transact(rest, 10000)
    print(answer or code)
  end
end
"""


class Workers(phtest.TestCase):
    def serve(self, *options, workers=2, script=SERVER):
        self.pipe = self.pipe_name()
        self.script = self.write_file("server.lua", script.replace("VERSION", "1"))
        server = self.start(
            "serve", "--workers", str(workers), *options, phtest.native(self.script),
            "--set", "pipe=" + self.pipe,
        )
        server.wait_for("serving 1 script", 20)
        self.addCleanup(self.end, server)
        return server

    # A build with ThreadSanitizer (build.sh build threads) tells on stderr.
    def end(self, server):
        server.stop()
        self.assertNotIn("ThreadSanitizer", server.err)

    def clients(self, count=0):
        path = self.write_file("client.lua", CLIENT)
        self.client = self.start("run", phtest.native(path), self.pipe, stdin=subprocess.PIPE)
        for number in range(1, count + 1):
            self.assertEqual(self.do("open"), str(number))

    def end_clients(self):
        self.client.process.stdin.close()
        self.assertEqual(self.client.wait(), 0, self.client)

    def do(self, line):
        self.client.write(line.encode() + b"\n")
        return self.client.wait_for("", 30).string

    def change(self, old, new):
        with open(self.script, encoding="utf-8") as file:
            text = file.read()
        self.assertIn(old, text)
        self.write_file("server.lua", text.replace(old, new))

    def ctl(self, *arguments):
        return self.run_pipehost("ctl", *arguments)

    def where(self, count):
        return [self.do(f"{i} where").split() for i in range(1, count + 1)]

    def test_spread_and_one(self):
        server = self.serve()
        self.clients(6)
        found = self.where(6)
        self.assertEqual([worker for worker, _, _ in found].count("2"), 3, found)
        self.assertEqual(sorted(int(number) for _, _, number in found), [1, 2, 3, 4, 5, 6])
        self.assertEqual(self.do(f"open {self.pipe}-one"), "7")
        self.assertEqual(self.do(f"open {self.pipe}-one"), "8")
        self.assertEqual([self.do("7 x"), self.do("8 x")], ["1", "1"])
        status = json.loads(self.ctl("status", "--json").out)
        spread = [s for s in status["scripts"][0]["servers"] if s["name"] == self.pipe][0]
        self.assertEqual(spread["connections"], 6, status)
        self.assertEqual(spread["workers"], [3, 3], status)
        self.assertEqual(status["workers"], 2)
        self.assertIn("connections 6 (3 + 3)", self.ctl("status").out)
        self.assertEqual(server.stop(), 0, server)

    def test_places_are_given_back(self):
        self.serve(workers=3)
        for _ in range(3): # 8 places, for the whole server
            self.clients(8)
            workers = [worker for worker, _, _ in self.where(8)]
            self.assertGreaterEqual(min(workers.count(w) for w in "123"), 2, workers)
            self.end_clients()

    def test_each_worker_has_its_own_variables(self):
        self.serve()
        self.clients(2)
        self.assertEqual([self.do("1 calls"), self.do("1 calls"), self.do("2 calls")], ["1", "2", "1"])

    def test_shared_values_are_counted_exactly(self):
        server = self.serve()
        self.clients(4)
        self.do("all count")
        self.assertEqual(self.do("1 raise"), "closed") # and the lock is free again
        self.assertEqual(self.do("2 count"), "10000 10000", server)

    def test_broadcast(self):
        self.serve()
        self.clients(4)
        self.where(4) # all are in
        self.assertEqual(self.do("2 tell"), "told")
        for number in (1, 3, 4):
            self.assertEqual(self.do(f"receive {number}"), "news", self.client)
        self.assertEqual(self.do("1 tell"), "told")
        for number in (2, 3, 4):
            self.assertEqual(self.do(f"receive {number}"), "news", self.client)

    def test_reload(self):
        server = self.serve()
        self.clients(4)
        self.do("all keep")
        self.change('d 1 %d"', 'd 2 %d"')
        done = self.ctl("reload")
        self.assertEqual(done.status, 0, done)
        self.assertEqual(self.do("all keep"), "2,2,2,2")
        self.assertEqual([version for _, version, _ in self.where(4)], ["2"] * 4)
        if not phtest.WINDOWS:
            self.change('d 2 %d"', 'd 3 %d"')
            server.signal(signal.SIGHUP)
            server.wait_for("generation 3", 20)
            self.assertEqual([version for _, version, _ in self.where(4)], ["3"] * 4)
        done = self.ctl("rollback")
        self.assertEqual(done.status, 0, done)
        self.assertEqual({version for _, version, _ in self.where(4)}, {"1" if phtest.WINDOWS else "2"})
        self.assertEqual(self.do("all keep"), "3,3,3,3")
        phtest.eventually(lambda: len(self.ctl("generations").out.splitlines()) == 1, 10, "one generation")
        self.assertEqual(server.stop(), 0, server)

    def test_reloads_under_traffic(self):
        server = self.serve(workers=3)
        self.clients(8)
        # ThreadSanitizer loses count of frames with each coroutine that is left.
        messages = 200 if phtest.WINDOWS or THREADS else 2000
        self.client.write(b"storm %d\n" % messages)
        for number in range(2, 8):
            done = self.ctl("reload", "--force")
            self.assertEqual(done.status, 0, done)
            self.assertIn(f"generation {number}", done.out)
        # Each message was answered once, by a state that knew all before it.
        self.assertEqual(self.client.wait_for("^storm", 60).string, "storm\t0", server)

    def test_all_or_none(self):
        self.serve()
        self.clients(4)
        self.change('d 1 %d"', 'd 2 %d"')
        self.change("local calls = 0", 'local calls = 0\nassert(pipehost.worker == 1, "not here")')
        done = self.ctl("reload")
        self.assertEqual(done.status, 65, done)
        self.assertIn("at worker 2", done.out + done.err)
        self.assertIn("not here", done.out + done.err)
        self.assertEqual([version for _, version, _ in self.where(4)], ["1"] * 4)
        self.change("assert(pipehost.worker == 1", "assert(pipehost.worker == 2")
        self.assertEqual(self.ctl("reload").status, 65)
        self.assertEqual([version for _, version, _ in self.where(4)], ["1"] * 4)
        self.change('assert(pipehost.worker == 2, "not here")', "")
        self.assertEqual(self.ctl("reload").status, 0)
        self.assertEqual([version for _, version, _ in self.where(4)], ["2"] * 4)

    def test_not_started_where_one_worker_fails(self):
        path = self.write_file("x.lua", SERVER + 'assert(pipehost.worker == 1, "not here")')
        done = self.run_pipehost("serve", "--workers", "2", phtest.native(path),
                                 "--set", "pipe=" + self.pipe_name())
        self.assertEqual(done.status, 65, done)
        self.assertIn("not here", done.err)

    @unittest.skipIf(THREADS, "ThreadSanitizer holds signals back while a thread computes")
    def test_limits_hold_in_each_worker(self):
        server = self.serve()
        self.clients(6)
        where = [worker for worker, _, _ in self.where(6)]
        at = {worker: where.index(worker) + 1 for worker in "12"}
        self.assertEqual(self.do(f"{at['2']} loop"), "closed")
        server.wait_for("budget: the script computed longer", 20)
        self.assertEqual(self.do(f"{at['1']} loop"), "closed")
        server.wait_for("budget: the script computed longer", 20)
        rest = [i + 1 for i, worker in enumerate(where) if worker == "2" and i + 1 != at["2"]]
        self.assertEqual(self.do(f"{rest[0]} find"), "closed") # a loop in C
        server.wait_for("budget: the script computed longer", 20)
        self.assertEqual(self.do(f"{rest[1]} where").split()[0], "2")

    def test_server_stop_reaches_all(self):
        server = self.serve()
        self.clients(4)
        self.where(4)
        self.assertEqual(self.do("2 stop"), "stopping")
        for number in (1, 2, 3, 4):
            self.assertEqual(self.do(f"receive {number}"), "nothing: closed")
        self.assertEqual(server.stop(), 0, server)

    def test_stop_with_clients(self):
        server = self.serve("--drain", "3000")
        self.clients(4)
        self.where(4)
        self.assertEqual(server.stop(), 0, server)
        for number in (1, 2, 3, 4):
            self.assertEqual(self.do(f"receive {number}"), "nothing: closed")

    def test_evict(self):
        self.serve()
        self.change('workers = "all",', 'workers = "all", on_reload = "finish",')
        self.assertEqual(self.ctl("reload").status, 0)
        self.clients(4)
        self.where(4)
        self.change('d 1 %d"', 'd 2 %d"')
        self.assertEqual(self.ctl("reload").status, 0)
        self.assertEqual([version for _, version, _ in self.where(4)], ["1"] * 4)
        listed = json.loads(self.ctl("generations", "--json").out)["generations"]
        self.assertEqual([one["clients"] for one in listed], [0, 4], listed)
        self.assertEqual(self.ctl("reload", "--evict").status, 0)
        for number in (1, 2, 3, 4):
            self.assertEqual(self.do(f"receive {number}"), "nothing: closed")
        phtest.eventually(lambda: len(self.ctl("generations").out.splitlines()) == 1, 10, "one generation")

    def test_to_one_worker_and_back(self):
        self.serve()
        self.clients(4)
        self.where(4)
        self.change('workers = "all",', "")
        self.assertEqual(self.ctl("reload").status, 0)
        self.end_clients()
        self.clients(4)
        self.assertEqual([worker for worker, _, _ in self.where(4)], ["1"] * 4)
        self.change("max_instances = 8", 'workers = "all", max_instances = 8')
        self.assertEqual(self.ctl("reload").status, 0)
        self.end_clients()
        self.clients(4)
        self.assertIn("2", [worker for worker, _, _ in self.where(4)])

    def test_a_worker_that_hangs(self):
        server = self.serve("--no-limits", "--drain", "500")
        self.clients(2)
        self.where(2)
        self.client.write(b"2 loop\n")
        self.assertEqual(self.run_pipehost("ctl", "status").status, 0)
        self.assertEqual(server.stop(60), 0, server)

    def test_bad_options(self):
        path = self.write_file("x.lua", SERVER)
        done = self.run_pipehost("serve", "--workers", "65", phtest.native(path))
        self.assertEqual(done.status, 2, done)
        bad = self.write_file("bad.lua", SERVER.replace('workers = "all"', "workers = 2"))
        done = self.run_pipehost("check", phtest.native(bad), "--set", "pipe=x")
        self.assertEqual(done.status, 65, done)
        self.assertIn("option 'workers'", done.err)


if __name__ == "__main__":
    phtest.main()
