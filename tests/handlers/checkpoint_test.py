#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# run.py: timeout=300
"""conn:checkpoint(): a session goes over to a later generation."""

import reloading
import phtest

# Answers each message with its number and the generation; `%s` is more of the
# options, and of what comes before the checkpoint.
SESSION = """
local pipehost = require "pipehost"
local log = pipehost.log
pipehost.server {
  name = pipehost.config.pipe,
  %s
  on_close = function(conn, reason) log.info("left by " .. conn.id .. " for " .. reason) end,
  session = function(conn)
    local guard <close> = setmetatable({}, { __close = function() log.info("unwound " .. pipehost.generation) end })
    while true do
      local message = conn:receive()
      if not message then return end
      conn.state.count = (conn.state.count or 0) + 1
      %s
      assert(conn:send(("%%s %%d on %%d"):format(message, conn.state.count, conn.generation)))
      conn:checkpoint()
    end
  end,
}
"""


def session(options="", body=""):
    return SESSION % (options, body)


class Checkpoint(reloading.Case):
    def test_crosses_with_its_state(self):
        self.serve(session())
        client = self.client()
        self.assertEqual(client.say("a"), "a 1 on 1")
        adopt = 'on_adopt = function(conn, version) log.info("adopted from " .. version) end, state_version = 2,'
        adopt += "migrate = { function(state) state.count = state.count + 100 return state end },"
        self.reload(session(adopt))
        # It waits in a receive: this message is the old one's, and then it crosses.
        self.assertEqual(client.say("b"), "b 2 on 1")
        self.assertEqual(client.say("c"), "c 103 on 2")
        self.only_generation(2)
        self.lines("adopted", 1)
        order = [line.split(": ", 1)[1] for line in self.server.lines if "unwound" in line or "adopted" in line]
        self.assertEqual(order, ["unwound 1", "adopted from 1"])
        self.assertEqual(self.lines("left by"), [])
        self.assertEqual(client.say("d"), "d 104 on 2")

    def test_through_many_generations(self):
        self.serve(session())
        clients = [self.client() for _ in range(3)]
        for client in clients:
            client.say("first")
        for number in range(2, 8):
            self.reload(session() + "-- " + str(number))
            for client in clients:
                self.assertEqual(client.say("x"), f"x {2 * number - 2} on {number - 1}")
                self.assertEqual(client.say("y"), f"y {2 * number - 1} on {number}")
        self.only_generation(7)

    def test_what_is_unread_and_what_is_posted_goes_along(self):
        text = """
            local pipehost = require "pipehost"
            pipehost.server {
              name = pipehost.config.pipe, mode = "byte", max_queue = 1000,
              session = function(conn)
                for line in conn:lines() do
                  for i = 1, line == "flood" and 100 or 0 do
                    assert(conn:post(("%05d"):format(i) .. ("."):rep(9994) .. "\\n"))
                  end
                  assert(conn:post(line .. " on " .. conn.generation .. "\\n"))
                  conn:checkpoint()
                end
              end,
            }
        """
        self.serve(text)
        client = self.client("lines")
        self.assertEqual(client.say("one"), "one on 1")
        self.reload(text + "-- 2")
        # What is read in one go with the first line is the next session's.
        client.write("flood\\nthree\\nfo")
        self.only_generation(2)
        for i in range(1, 101):
            self.assertEqual(client.hear()[:5], f"{i:05}")
        self.assertEqual(client.hear(), "flood on 1")
        self.assertEqual(client.hear(), "three on 2")
        self.assertEqual(client.say("ur"), "four on 2")

    def test_without_a_checkpoint_it_finishes_where_it_began(self):
        text = session().replace("conn:checkpoint()", "")
        self.serve(text)
        old = self.client()
        self.assertEqual(old.say("a"), "a 1 on 1")
        self.reload(text + "-- 2")
        new = self.client()
        self.assertEqual(new.say("a"), "a 1 on 2")
        self.assertEqual(old.say("b"), "b 2 on 1")
        self.assertIn("clients 1", self.ctl("generations").out.splitlines()[1])

    def stays(self, text, why):
        client = self.client()
        self.assertEqual(client.say("a"), "a 1 on 1")
        self.reload(text)
        for number in range(2, 5):
            self.assertEqual(client.say("x"), f"x {number} on 1")
        self.assertEqual(len(self.lines("connection 1 stays on this generation", 1)), 1, self.server)
        self.assertRegex(self.lines("stays on this")[0], why)
        self.assertEqual(self.lines("unwound"), [])
        return client

    def test_state_that_cannot_be_cloned(self):
        self.serve(session("", 'conn.state.fn = message ~= "clean" and print or nil'))
        client = self.stays(session() + "-- 2", r"value\.fn is a function")
        # A later generation is tried again.
        self.reload(session() + "-- 3")
        self.assertEqual(client.say("clean"), "clean 5 on 1")
        self.assertEqual(client.say("x"), "x 6 on 3")
        self.only_generation(3)

    def test_migrate_that_fails_for_this_one(self):
        self.serve(session())
        migrate = "state_version = 2, migrate = { function(state) if state.count > 1 then error 'too many' end return state end },"
        client = self.stays(session(migrate), r"served\.lua:\d+: too many")
        self.reload(session(migrate.replace("> 1", "> 1000")))
        self.assertEqual(client.say("x"), "x 5 on 1")
        self.assertEqual(client.say("x"), "x 6 on 3")
        self.only_generation(3)

    def test_another_style(self):
        self.serve(session())
        self.stays(
            """local pipehost = require "pipehost"
            pipehost.server { name = pipehost.config.pipe, on_message = function() return "m" end }""",
            "on_message there",
        )
        self.assertEqual(self.client().say("x"), "m")

    def test_on_reload_close(self):
        self.serve(session())
        client = self.client()
        client.say("a")
        self.reload(session('on_reload = "close",'))
        self.assertEqual(client.hear(), "closed")
        self.server.wait_for("left by 1 for reload")
        self.only_generation(2)
        self.assertEqual(self.client().say("a"), "a 1 on 2")

    def test_close_that_fails(self):
        body = 'local bad <close> = setmetatable({}, { __close = function() error "cannot close" end })'
        self.serve(session("", body).replace("conn:checkpoint()", "conn:checkpoint(message)"))
        client = self.client()
        client.say("a")
        self.reload(session())

        # The first `a` closed `bad` at the end of its loop, and was an error.
        self.assertEqual(client.say("b"), "closed")
        self.server.wait_for("cannot close")

    def test_close_that_fails_at_the_crossing(self):
        body = """local bad <close> = setmetatable({}, { __close = function()
            if pipehost.config.pipe and conn.state.count == 2 then error "cannot close" end end })"""
        self.serve(session("", body))
        client = self.client()
        self.assertEqual(client.say("a"), "a 1 on 1")
        self.reload(session())
        self.assertEqual(client.say("b"), "b 2 on 1")
        self.assertEqual(client.say("c"), "c 3 on 2")
        self.assertEqual(len(self.lines("cannot close", 1)), 1, self.server)
        self.assertEqual(len(self.lines("unwound 1", 1)), 1, self.server)
        self.only_generation(2)

    def test_close_that_does_not_end(self):
        body = """local bad <close> = setmetatable({}, { __close = function()
            while conn.state.count == 2 do end end })"""
        self.serve(session("", body))
        client = self.client()
        self.assertEqual(client.say("a"), "a 1 on 1")
        self.reload(session())
        self.assertEqual(client.say("b"), "b 2 on 1")
        self.assertEqual(client.say("c"), "c 3 on 2")
        self.assertEqual(len(self.lines("budget", 1)), 1, self.server)
        self.only_generation(2)

    def test_on_adopt_that_fails_is_a_script_error(self):
        self.serve(session())
        client, other = self.client(), self.client()
        client.say("a")
        other.say("a")
        self.reload(session('on_adopt = function(conn) if conn.id == 1 then error "not this one" end end,'))
        self.assertEqual(client.say("b"), "b 2 on 1")
        self.assertEqual(client.hear(), "closed")
        self.server.wait_for("not this one")
        self.server.wait_for("left by 1 for error")
        self.assertEqual(other.say("b"), "b 2 on 1")
        self.assertEqual(other.say("c"), "c 3 on 2")

    def test_stop_with_sessions_of_two_generations(self):
        text = session().replace("conn:checkpoint()", 'if message ~= "stay" then conn:checkpoint() end')
        self.serve(text)
        clients = [self.client() for _ in range(2)]
        for client in clients:
            client.say("a")
        self.reload(text + "-- 2")
        self.assertEqual(clients[0].say("stay"), "stay 2 on 1")
        self.assertEqual(clients[1].say("go"), "go 2 on 1")
        self.assertEqual(clients[1].say("gone"), "gone 3 on 2")
        done = self.ctl("stop")
        self.assertEqual(done.status, 0, done)
        self.assertEqual(self.server.wait(), 0, self.server)
        self.assertEqual(len(self.lines("unwound")), 3, self.server)


if __name__ == "__main__":
    phtest.main()
