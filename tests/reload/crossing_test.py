#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# run.py: timeout=300
"""Clients that are in the middle of something when the script is reloaded."""

import os
import signal
import unittest

import reload
from reload import ANSWERS, FAILED, OK, phtest

# Four questions, of which each is answered only in its turn.
HANDSHAKE = """
local pipehost = require "pipehost"
local turns = { "hello", "name", "key", "bye" }
pipehost.server {
  name = pipehost.config.pipe,
  on_message = function(conn, message)
    local turn = (conn.state.turn or 0) + 1
    conn.state.turn = turn
    if message ~= turns[turn] then
      return nil, "protocol", "not in turn"
    end
    return ("%s %d of generation %d"):format(message, turn, conn.generation)
  end,
}
"""
# The same as one session, which crosses at its checkpoints or not at all.
SESSION = """
local pipehost = require "pipehost"
local turns = { "hello", "name", "key", "bye" }
pipehost.server {
  name = pipehost.config.pipe,
  session = function(conn)
    for turn = (conn.state.turn or 0) + 1, #turns do
      CHECKPOINT
      local message = assert(conn:receive())
      assert(message == turns[turn], "not in turn")
      assert(conn:send(("%s %d of generation %d"):format(message, turn, conn.generation)))
      conn.state.turn = turn
    end
    conn:receive()
  end,
}
"""
TURNS = ("hello", "name", "key", "bye")

FRAMES = """
local pipehost = require "pipehost"
pipehost.server {
  name = pipehost.config.pipe,
  mode = "byte",
  frame = pipehost.struct("<", { { "length", "I4" } }),
  on_message = function(conn, message)
    return conn.generation .. " " .. message
  end,
}
"""
LINES = """
local pipehost = require "pipehost"
pipehost.server {
  name = pipehost.config.pipe,
  mode = "byte",
  session = function(conn)
    while true do
      local line = conn:read_line()
      if not line then return end
      conn:write(conn.generation .. " " .. line .. "\\n")
      conn:checkpoint()
    end
  end,
}
"""
PARTS = """
local pipehost = require "pipehost"
pipehost.server {
  name = pipehost.config.pipe,
  session = function(conn)
    while true do
      local part, more = conn:read(4)
      if not part then return end
      conn.state.got = (conn.state.got or "") .. conn.generation .. part
      if more then
        pipehost.log.info("has a part of it")
        while conn.state.wait ~= false and conn.generation == 1 do
          pipehost.pipe.sleep(5)
          conn:checkpoint()
        end
      else
        conn:send(conn.state.got)
        conn.state.got = nil
      end
    end
  end,
}
"""


def frame(text):
    body = text.encode()
    return (len(body).to_bytes(4, "little") + body).hex()


class Handshake(reload.Case):
    def each_step(self, text, crosses):
        """The reload comes after so many of its steps, while a second client has
        not begun."""
        self.serve(text)
        client = self.puppet()
        generation = 1
        for done in range(len(TURNS) + 1):
            begun = generation
            name = f"c{done}"
            client.open(name, self.pipe)
            for i, turn in enumerate(TURNS):
                if i == done:
                    self.reload("--force")
                    generation += 1
                want = begun if i < done else generation
                reply = client.ask(name, turn)
                if crosses == "no":
                    want = begun
                elif crosses == "next" and i == done:
                    # It waits for the message already, in the old code.
                    want = begun
                self.assertEqual(reply, f"{turn} {i + 1} of generation {want}", (done, i))
            if done == len(TURNS):
                self.reload("--force")
                generation += 1
            client.do("close", name)
        self.assertNotIn(" error ", self.server.err)
        self.assertNotIn(" warn ", self.server.err)

    def test_messages(self):
        self.each_step(HANDSHAKE, "at once")

    def test_session(self):
        self.each_step(SESSION.replace("CHECKPOINT", ""), "no")

    def test_session_with_checkpoints(self):
        self.each_step(SESSION.replace("CHECKPOINT", "conn:checkpoint()"), "next")

    def test_client_side(self):
        """A handshake that a script plays as a client is done by the generation
        that began it."""
        self.serve()
        text = """
local pipehost = require "pipehost"
local s = pipehost.steps
local pipe = pipehost.pipe
pipehost.on_start(function() pipehost.log.info "runs" end)
pipehost.on_stop(function()
  local result = assert(pipehost.handshake {
    pipe = "%s", timeout = 5000,
    steps = { s.send "one", s.expect "v1 1 one", s.send "two", s.expect "v1 1 two", s.close() },
  })
  pipehost.log.info("played by " .. pipehost.generation)
end)
"""
        path = self.save("client.lua", text % self.pipe)
        control = self.pipe_name()
        client = self.start("serve", path, "--control", control)
        self.addCleanup(lambda: client.running() and client.stop())
        client.wait_for("#1: runs")
        done = self.run_pipehost("ctl", "reload", "--force", "--control", control)
        self.assertEqual(done.status, OK, done)
        client.wait_for("#1: played by 1")


class Halves(reload.Case):
    def test_frame(self):
        """Its first bytes came before the reload; so did a whole one before it."""
        self.serve(FRAMES)
        client = self.puppet()
        client.open("a", self.pipe)
        whole, half = frame("whole"), frame("in two parts")
        for cut in (2, 8, 14):  # hex digits: in its header, behind it, in its body
            generation = self.generation()
            client.do("write", "a", whole + half[:cut])
            self.assertEqual(client.do("read", "a", 11)[4:], f"{generation} whole")
            self.reload("--force")
            client.do("write", "a", half[cut:])
            self.assertEqual(client.do("read", "a", 18)[4:], f"{generation + 1} in two parts")

    def test_line(self):
        self.serve(LINES)
        client = self.puppet()
        client.open("a", self.pipe)
        client.do("write", "a", b"one\nhalf of ".hex())
        self.assertEqual(client.do("read", "a", 6), "1 one")
        self.reload("--force")
        client.do("write", "a", b"a line\nlast\n".hex())
        # The old session waits in the read; it crosses behind it.
        self.assertEqual(client.do("read", "a", 17), "1 half of a line")
        self.assertEqual(client.do("read", "a", 7), "2 last")

    def test_message_read_in_parts(self):
        self.serve(PARTS)
        client = self.puppet()
        client.open("a", self.pipe)
        client.do("send", "a", "0123456789")
        self.server.wait_for("has a part of it")
        self.reload("--force")
        self.assertEqual(client.do("receive", "a"), "10123" + "24567" + "289")

    def test_messages_that_wait(self):
        """What was sent ahead is answered in order, by one generation or the
        other, and once."""
        self.serve("""
local pipehost = require "pipehost"
pipehost.server {
  name = pipehost.config.pipe,
  on_message = function(conn, message)
    pipehost.pipe.sleep(50)
    conn.state.count = (conn.state.count or 0) + 1
    return ("%s %d"):format(message, conn.state.count)
  end,
}
""")
        client = self.puppet()
        client.open("a", self.pipe)
        for i in range(1, 21):
            client.do("send", "a", f"m{i}")
        for _ in range(3):
            self.reload("--force")
        for i in range(1, 21):
            self.assertEqual(client.do("receive", "a"), f"m{i} {i}")


class Generations(reload.Case):
    FINISH = ANSWERS.replace("on_message", 'on_reload = "finish",\n  on_message')

    def alive(self):
        return [
            (a["generation"], a["clients"]) for a in self.ctl_json("generations")["generations"]
        ]

    def test_two_reloads_with_a_client_pinned(self):
        self.serve(self.FINISH % "v1")
        client = self.puppet()
        client.open("a", self.pipe)
        self.assertEqual(client.ask("a", "?"), "v1 1 ?")
        self.save("server.lua", self.FINISH % "v2")
        self.reload()
        client.open("b", self.pipe)
        self.save("server.lua", self.FINISH % "v3")
        self.reload()
        client.open("c", self.pipe)
        for name, reply in (("a", "v1 1 ?"), ("b", "v2 2 ?"), ("c", "v3 3 ?")):
            self.assertEqual(client.ask(name, "?"), reply)
        self.assertEqual(self.alive(), [(3, 1), (2, 1), (1, 1)])
        client.do("close", "b")
        phtest.eventually(lambda: self.alive() == [(3, 1), (1, 1)], what="the end of 2")
        self.assertEqual(client.ask("a", "?"), "v1 1 ?")
        client.do("close", "a")
        phtest.eventually(lambda: self.alive() == [(3, 1)], what="the end of 1")
        self.assertEqual(client.ask("c", "?"), "v3 3 ?")

    def pin(self, client, count):
        """So many generations, each with a client."""
        for number in range(1, count + 1):
            client.open(f"c{number}", self.pipe)
            self.assertEqual(client.ask(f"c{number}", "?"), f"v 1 ?".replace("1", str(number)))
            if number < count:
                self.reload("--force")

    def test_too_many_generations(self):
        self.serve(self.FINISH % "v")
        client = self.puppet()
        self.pin(client, 8)
        said = self.reload_fails_for_room()
        self.assertIn(f"generation 1, the oldest, is held by {self.pipe} connection 1", said)
        for number in range(1, 9):
            self.assertEqual(client.ask(f"c{number}", "?"), f"v {number} ?")
        # One goes, and there is room.
        client.do("close", "c3")
        phtest.eventually(lambda: len(self.alive()) == 7)
        self.reload("--force")
        self.assertEqual(self.generation(), 9)

    def reload_fails_for_room(self):
        done = self.ctl("reload", "--force")
        self.assertEqual(done.status, FAILED, done)
        self.assertRegex(done.err, r"reload failed, generation 8 stays active .* 8 generations are alive")
        self.assertIn("--evict", done.err)
        return done.err

    def test_eviction(self):
        text = (self.FINISH % "v").replace(
            "on_reload", 'on_close = function(_, why) pipehost.log.info("left: " .. why) end,\n  on_reload', 1
        )
        self.serve(text)
        client = self.puppet()
        self.pin(client, 8)
        self.reload("--force", "--evict")
        self.server.wait_for("#1: left: evicted")
        self.assertEqual(client.ask("c1", "?")[0], "closed")
        self.assertEqual(client.ask("c8", "?"), "v 8 ?")
        phtest.eventually(lambda: self.alive() == [(9, 0), (8, 1)], what="the end of the evicted")

    def test_watch_evicts_the_oldest(self):
        self.serve(self.FINISH % "v", "--watch")
        client = self.puppet()
        self.pin(client, 8)
        self.save("server.lua", self.FINISH % "new")
        self.server.wait_for("warn .*generation 1 is over, past 8 generations: cut are .*connection 1")
        self.server.wait_for(r"generation 9 \(changed")
        self.assertEqual(client.ask("c1", "?")[0], "closed")
        self.assertEqual(client.ask("c2", "?"), "v 2 ?")
        self.answers("^new 9 ", client)

    def test_handler_that_holds_an_evicted_client(self):
        """It does not get the time it wants."""
        self.serve("""
local pipehost = require "pipehost"
pipehost.server {
  name = pipehost.config.pipe,
  on_reload = "finish",
  on_message = function(conn, message)
    if message == "hold" then
      pipehost.log.info "holding"
      pipehost.pipe.sleep(1e6)
    end
    return "v " .. conn.generation .. " " .. message
  end,
}
""")
        client = self.puppet()
        self.pin(client, 8)
        client.tell("send", "c1", "hold")
        client.hear()
        self.server.wait_for("holding")
        self.reload("--force", "--evict")
        phtest.eventually(lambda: self.alive() == [(9, 0), (8, 1)], what="the end of the evicted")

    def test_rollback(self):
        self.serve(ANSWERS % "v1")
        client = self.puppet()
        client.open("a", self.pipe)
        self.save("words.lua", "return 'v2'")
        self.save(
            "server.lua",
            'local words = require "words"\n' + (ANSWERS % "X").replace('"X %d', 'words .. " %d'),
        )
        self.reload()
        self.assertEqual(client.ask("a", "?"), "v2 2 ?")
        self.save("words.lua", "return 'v3'")
        self.reload()
        self.assertEqual(client.ask("a", "?"), "v3 3 ?")
        os.remove(self.path("words.lua"))
        self.assertIn("generation 4 (a rollback to 2)", self.ctl("rollback", "2").out)
        self.assertEqual(client.ask("a", "?"), "v2 4 ?")
        self.assertIn("generation 5 (a rollback to 1)", self.ctl("rollback", "server.lua", "1").out)
        self.assertEqual(client.ask("a", "?"), "v1 5 ?")
        self.assertIn("generation 6 (a rollback to 4)", self.ctl("rollback").out)
        self.assertEqual(client.ask("a", "?"), "v2 6 ?")
        done = self.ctl("rollback", "77")
        self.assertEqual(done.status, FAILED, done)
        self.assertRegex(done.err, "sources of generation 77 are not kept")
        # The files are what they were: one is missing.
        self.reload_fails("module 'words' not found")
        self.assertEqual(client.ask("a", "?"), "v2 6 ?")


class End(reload.Case):
    """What the old generation does when it is replaced."""

    def test_on_stop_and_then_its_tasks_end(self):
        self.serve("""
local pipehost = require "pipehost"
local pipe, log = pipehost.pipe, pipehost.log
pipehost.on_start(function()
  local on_end <close> = setmetatable({}, { __close = function() log.info "task ends" end })
  while true do pipe.sleep(1000) end
end)
pipehost.on_stop(function()
  pipe.sleep(50)
  log.info "stops"
end)
pipehost.on_stop(function() error "cannot stop" end)
pipehost.server { name = pipehost.config.pipe, on_message = function() end }
""")
        self.reload("--force")
        self.server.wait_for("error .*#1: .*cannot stop")
        self.server.wait_for("#1: stops")
        self.server.wait_for("#1: task ends")
        phtest.eventually(lambda: len(self.ctl_json("generations")["generations"]) == 1)

    def test_on_stop_that_takes_too_long(self):
        self.serve("""
local pipehost = require "pipehost"
pipehost.on_stop(function() pipehost.pipe.sleep(1e6) end)
pipehost.server { name = pipehost.config.pipe, on_message = function() end }
""")
        self.reload("--force")
        phtest.eventually(lambda: len(self.ctl_json("generations")["generations"]) == 1)

    def test_on_stop_runs_once(self):
        text = (ANSWERS % "v").replace("on_message", 'on_reload = "finish",\n  on_message') + """
pipehost.on_stop(function() pipehost.log.info "stops" end)
"""
        self.serve(text)
        client = self.puppet()
        client.open("a", self.pipe)
        self.reload("--force")
        self.server.wait_for("#1: stops")
        client.do("close", "a")
        self.assertEqual(self.server.stop(), 0, self.server)
        self.assertEqual(self.server.err.count("#1: stops"), 1, self.server)
        self.assertEqual(self.server.err.count("#2: stops"), 1, self.server)

    def test_pipes_of_the_old_generation_stay_usable(self):
        """To the clients that are still its own."""
        backend = self.pipe_name()
        path = self.save("backend.lua", ANSWERS % "backend")
        server = self.start("serve", path, "--set", "pipe=" + backend, "--control", self.pipe_name())
        server.wait_for("serving 1 script")
        self.serve("""
local pipehost = require "pipehost"
local back
pipehost.on_start(function() back = assert(pipehost.pipe.open("%s")) end)
pipehost.server {
  name = pipehost.config.pipe,
  on_reload = "finish",
  on_message = function(conn, message) return conn.generation .. assert(back:transact(message)) end,
}
""" % backend)
        client = self.puppet()
        client.open("a", self.pipe)
        phtest.eventually(lambda: client.ask("a", "?") == "1backend 1 ?")
        self.reload("--force")
        client.open("b", self.pipe)
        self.assertEqual(client.ask("b", "?"), "2backend 1 ?")
        self.assertEqual(client.ask("a", "?"), "1backend 1 ?")

    def test_name_that_is_declared_no_more(self):
        second = (ANSWERS % "second").replace("config.pipe", 'config.pipe .. "2"')
        self.serve(ANSWERS % "first" + second)
        client = self.puppet()
        client.open("a", self.pipe)
        client.open("b", self.pipe + "2")
        self.save("server.lua", ANSWERS % "first")
        self.reload()
        self.server.wait_for("server .*2: is declared no more")
        # What comes before its end is still answered.
        phtest.eventually(lambda: client.ask("b", "?")[0] == "closed", what="the end of its client")
        self.assertEqual(client.ask("a", "?"), "first 2 ?")
        code = client.do("open", "c", self.pipe + "x")
        self.assertEqual(code[0], "timeout" if code[0] == "timeout" else "absent")
        self.save("server.lua", ANSWERS % "first" + second)
        self.reload()
        client.open("d", self.pipe + "2")
        self.assertEqual(client.ask("d", "?"), "second 3 ?")


class Storm(reload.Case):
    @unittest.skipIf(phtest.WINDOWS, "this system has no SIGHUP")
    def test_signals(self):
        self.serve(ANSWERS % "v1")
        client = self.puppet()
        client.open("a", self.pipe)
        for i in range(300):
            self.replace("server.lua", ANSWERS % f"v{i}")
            self.server.signal(signal.SIGHUP)
            if i % 20 == 0:
                self.assertRegex(client.ask("a", "?"), r"^v\d+ \d+ \?$")
        self.replace("server.lua", ANSWERS % "last")
        self.server.signal(signal.SIGHUP)
        phtest.eventually(lambda: client.ask("a", "?").startswith("last "), 30, "the last save")
        self.assertEqual(self.server.err.count("reload failed"), 0)

    def test_ctl(self):
        """Many at once: they share turns, and each is answered."""
        self.serve(ANSWERS % "v1")
        client = self.puppet()
        client.open("a", self.pipe)
        self.save("server.lua", ANSWERS % "v2")
        for round in range(2):
            asking = [
                self.start("ctl", "reload", "--control", self.control, *(["--force"] if round else []))
                for _ in range(8)
            ]
            for ctl in asking:
                self.assertEqual(ctl.wait(60), 0, ctl)
        self.assertRegex(client.ask("a", "?"), r"^v2 \d+ \?$")
        self.assertLessEqual(self.generation(), 10)

    def test_save_while_it_is_loaded(self):
        """The load that is under way sees the old text, and the next one follows."""
        slow = "local n = 0\nfor i = 1, 3e7 do n = n + i end\n"
        self.serve(ANSWERS % "v1", "--watch")
        self.save("server.lua", slow + ANSWERS % "v2")
        phtest.time.sleep(0.25)
        self.save("server.lua", ANSWERS % "v3")
        client = self.puppet()

        def is_new():
            client.open("a", self.pipe)
            reply = client.ask("a", "?")
            client.do("close", "a")
            return reply.startswith("v3 ")

        phtest.eventually(is_new, 30, "the last save")


class Chat(reload.Case):
    def test_goes_on(self):
        """The room of the example, its members and their names."""
        with open(os.path.join(phtest.ROOT, "scripts/examples/chat_server.lua")) as file:
            text = file.read()
        self.serve(text)
        people = self.puppet()
        for name in ("ann", "bob", "cid"):
            people.open(name, self.pipe)
            self.assertEqual(people.ask(name, name), f"* welcome, {name}")
        self.assertEqual(people.do("receive", "ann"), "* bob joins")
        self.assertEqual(people.do("receive", "ann"), "* cid joins")
        self.assertEqual(people.do("receive", "bob"), "* cid joins")
        for number in (2, 3):
            self.save("server.lua", text.replace('": "', f'" says in {number}: "'))
            self.reload()
            people.do("send", "bob", f"round {number}")
            for name in ("ann", "cid"):
                self.assertEqual(people.do("receive", name), f"bob says in {number}: round {number}")
        people.do("close", "cid")
        for name in ("ann", "bob"):
            self.assertEqual(people.do("receive", name), "* cid leaves (closed)")
        self.assertEqual(self.generation(), 3)


if __name__ == "__main__":
    phtest.main()
