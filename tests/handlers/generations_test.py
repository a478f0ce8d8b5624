#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# run.py: timeout=300
"""What goes across the generations of a script, and between scripts."""

import reloading
import phtest

SHARED = """
local pipehost = require "pipehost"
local shared = pipehost.shared "counts"
pipehost.server {
  name = pipehost.config.pipe .. "%s",
  on_message = function(conn, message)
    if message == "twice" then
      return shared:update("n", function(n) return n * 2 end) .. " by %s"
    end
    return shared:add "n" .. " by %s"
  end,
}
"""

# Stays with its generation.
ROOM = """
local pipehost = require "pipehost"
pipehost.server {
  name = pipehost.config.pipe,
  session = function(conn)
    for message in conn:messages() do
      local told = conn.server:broadcast(conn.generation .. ": " .. message, conn)
      assert(conn:send("told " .. told))
    end
  end,
}
"""


class Generations(reloading.Case):
    def test_shared_values_survive_a_reload(self):
        self.serve(SHARED % ("", "one", "one"))
        client = self.client()
        self.assertEqual(client.say("x"), "1 by one")
        self.assertEqual(client.say("x"), "2 by one")
        self.reload(SHARED % ("", "two", "two"))
        self.assertEqual(client.say("twice"), "4 by two")
        self.only_generation(2)
        self.reload(SHARED % ("", "three", "three"))
        self.assertEqual(client.say("x"), "5 by three")
        self.assertRegex(self.ctl("status").out, r"shared \d+ KiB")

    def test_scripts_of_a_host_share_them(self):
        self.pipe = self.pipe_name()
        paths = [
            phtest.native(self.write_file(f"{name}.lua", SHARED % (name, name, name))) for name in "ab"
        ]
        server = self.start("serve", *paths, "--set", "pipe=" + self.pipe, "--drain", "300")
        self.addCleanup(lambda: server.running() and server.stop())
        server.wait_for("serving 2 scripts")
        pipe = self.pipe
        self.pipe = pipe + "a"
        a = self.client()
        self.pipe = pipe + "b"
        b = self.client()
        self.assertEqual(a.say("x"), "1 by a")
        self.assertEqual(b.say("x"), "2 by b")
        self.assertEqual(a.say("twice"), "4 by a")

    def test_a_load_changes_no_shared_value(self):
        self.serve(SHARED % ("", "one", "one"))
        client = self.client()
        self.assertEqual(client.say("x"), "1 by one")
        for change in ('set("n", 100)', 'add "n"', 'update("n", function() return 100 end)'):
            self.write_file("served.lua", SHARED % ("", "two", "two") + f"shared:{change}")
            done = self.ctl("reload")
            self.assertNotEqual(done.status, 0, done)
            self.assertRegex(done.err, r"served\.lua:\d+: shared:\w+: not while loading; use pipehost\.on_start")
        self.assertEqual(client.say("x"), "2 by one")
        self.reload(SHARED % ("", "two", "two") + 'pipehost.on_start(function() shared:set("n", 100) end)')
        self.assertEqual(client.say("x"), "101 by two")
        # What it reads at load is what there is.
        self.reload('local n = require("pipehost").shared("counts"):get "n"\n' + SHARED % ("", '" .. n .. "', ""))
        self.assertEqual(client.say("twice"), "202 by 101")

    def test_broadcasts_reach_all_generations(self):
        self.serve(ROOM)
        old = self.client()
        self.assertEqual(old.say("alone"), "told 0")
        self.reload(ROOM + "-- 2")
        new = self.client()
        self.assertEqual(new.say("hello"), "told 1")
        self.assertEqual(old.hear(), "2: hello")
        self.reload(ROOM + "-- 3")
        newest = self.client()
        self.assertEqual(old.say("from the oldest"), "told 2")
        self.assertEqual(new.hear(), "1: from the oldest")
        self.assertEqual(newest.hear(), "1: from the oldest")

    def test_a_half_read_frame_crosses(self):
        text = """
            local pipehost = require "pipehost"
            local Header = pipehost.struct("<", { { "length", "I2" } })
            pipehost.server {
              name = pipehost.config.pipe, mode = "byte", frame = "lines",
              on_message = function(conn, message) return message .. " on " .. conn.generation end,
            }
        """
        self.serve(text)
        client, idle = self.client("lines"), self.client("lines")
        self.assertEqual(client.say("one"), "one on 1")
        client.write("tw")
        self.reload(text + "-- 2")
        self.only_generation(2)
        self.assertEqual(client.say("o"), "two on 2")
        self.assertEqual(idle.say("three"), "three on 2")

    def test_what_is_posted_crosses(self):
        text = """
            local pipehost = require "pipehost"
            pipehost.server {
              name = pipehost.config.pipe, max_queue = 1000, max_message = 100000,
              on_message = function(conn, message)
                for i = 1, message == "flood" and 60 or 0 do
                  assert(conn:post(("%05d"):format(i) .. ("."):rep(20000)))
                end
                return message ~= "flood" and message .. " on " .. conn.generation or nil
              end,
            }
        """
        self.serve(text)
        client = self.client()
        client.write("flood")
        phtest.eventually(lambda: "served 1" in self.ctl("status").out)
        self.reload(text + "-- 2")
        self.only_generation(2)
        for i in range(1, 61):
            self.assertEqual(client.hear()[:5], f"{i:05}")
        self.assertEqual(client.say("x"), "x on 2")


if __name__ == "__main__":
    phtest.main()
