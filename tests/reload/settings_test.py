#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# run.py: timeout=240
"""What a reload changes of a name that is served: mode, direction and access,
which clients hold fast, and the limits, which they do not."""

import reload
from reload import SCRIPT_ERROR, UNAVAILABLE, phtest

SERVER = """
local pipehost = require "pipehost"
pipehost.server {
  name = pipehost.config.pipe,
  on_close = function(conn, reason) pipehost.log.info("closed for " .. reason) end,
  %s
}
"""
MESSAGES = 'on_message = function(conn, message) return conn.generation .. " " .. message end,'
LINES = """mode = "byte", session = function(conn)
    for line in conn:lines() do
      conn:write(conn.generation .. " " .. line .. "\\n")
    end
  end,"""


class Settings(reload.Case):
    def begin(self, options=MESSAGES):
        self.serve(SERVER % options)
        self.client = self.puppet()

    def change(self, options):
        self.save("server.lua", SERVER % options)

    def alive(self, generation=1):
        self.assertEqual(self.client.ask("a", "still"), f"{generation} still")

    def lines_work(self, generation):
        self.client.open("b", self.pipe)
        self.client.do("write", "b", b"line\n".hex())
        self.assertEqual(self.client.do("read", "b", 6), f"{generation} line")

    def test_mode_while_a_client_is_connected(self):
        self.begin()
        self.client.open("a", self.pipe)
        self.change(LINES)
        said = self.reload_fails(
            r"server\.lua:3: pipehost\.server .*: mode changes from message to byte, "
            r"while 1 client is connected"
        )
        self.assertIn('on_reload = "close"', said)
        self.alive()
        self.client.do("close", "a")
        phtest.eventually(lambda: self.ctl_json("generations")["generations"][0]["clients"] == 0)
        self.reload()
        self.lines_work(2)

    def test_mode_with_on_reload_close(self):
        self.begin()
        self.client.open("a", self.pipe)
        self.alive()
        self.change(LINES + ' on_reload = "close",')
        self.reload()
        self.server.wait_for("#1: closed for reload")
        self.assertEqual(self.client.ask("a", "gone")[0], "closed")
        self.lines_work(2)

    def test_direction(self):
        self.begin()
        self.client.open("a", self.pipe)
        self.change('direction = "inbound", on_message = function() end,')
        self.reload_fails("direction changes from duplex to inbound, while 1 client is connected")
        self.alive()

    def test_access(self):
        other = '"admins"' if phtest.WINDOWS else "{ 4711 }"
        self.begin()
        self.client.open("a", self.pipe)
        self.change(MESSAGES + f" access = {other},")
        self.reload_fails(r"server\.lua:3: .*access changes from me to (admins|uids 4711), while")
        self.alive()
        self.client.do("close", "a")
        phtest.eventually(lambda: self.ctl_json("generations")["generations"][0]["clients"] == 0)
        self.reload()
        self.answers("^2 hello$", self.client)

    def test_several_at_once(self):
        self.begin()
        self.client.open("a", self.pipe)
        self.client.open("b", self.pipe)
        self.change(LINES + ' direction = "outbound",')
        self.reload_fails(
            "mode changes from message to byte, direction changes from duplex to outbound, "
            "while 2 clients are connected"
        )

    def test_same_in_other_words(self):
        self.begin()
        self.client.open("a", self.pipe)
        self.change(MESSAGES + ' mode = "message", direction = "duplex", access = "me",')
        self.reload()
        self.alive(2)

    def test_settings_that_the_system_refuses(self):
        """The name has been given up for them already, and is served again."""
        wrong = "{ 4711 }" if phtest.WINDOWS else '"D:(A;;GA;;;WD)"'
        self.begin()
        self.answers("^1 hello$", self.client)
        self.change(MESSAGES + f" access = {wrong},")
        phtest.eventually(lambda: self.ctl_json("generations")["generations"][0]["clients"] == 0)
        self.reload_fails(r"server\.lua:3: .*access")
        self.answers("^1 hello$", self.client)
        self.change(MESSAGES)
        self.assertIn("unchanged", self.ctl("reload").out)

    def test_new_name_that_is_taken(self):
        """Nothing is given up for a generation whose other name is not free."""
        other = self.pipe_name()
        blocker = self.save("other.lua", SERVER % MESSAGES)
        server = self.start("serve", blocker, "--set", "pipe=" + other, "--control", self.pipe_name())
        server.wait_for("serving 1 script")
        self.begin()
        self.client.open("a", self.pipe)
        second = (SERVER % MESSAGES).replace("pipehost.config.pipe", f'"{other}"')
        self.save("server.lua", SERVER % (LINES + ' on_reload = "close",') + second)
        self.reload_fails("another server has this name already", UNAVAILABLE)
        self.alive()

    def test_wrong_options_are_found_for_a_name_that_is_served(self):
        self.begin()
        self.client.open("a", self.pipe)
        for option in ('backlog = "many"', "max_message = 0", "max_instances = 0.5", "access = 7"):
            self.change(MESSAGES + f" {option},")
            self.reload_fails(r"server\.lua:3: .*" + option.split()[0], SCRIPT_ERROR)
        self.alive()

    def test_more_instances(self):
        self.begin(MESSAGES + " max_instances = 1,")
        self.client.open("a", self.pipe)
        self.alive()
        self.change(MESSAGES + " max_instances = 2,")
        self.reload()
        self.client.open("b", self.pipe)
        self.assertEqual(self.client.ask("b", "second"), "2 second")
        self.alive(2)

    def test_fewer_instances(self):
        self.begin()
        for client in "abc":
            self.client.open(client, self.pipe)
            self.assertEqual(self.client.ask(client, client), "1 " + client)
        self.change(MESSAGES + " max_instances = 1,")
        self.reload()
        for client in "abc":
            self.assertEqual(self.client.ask(client, client), "2 " + client)
        for client in "abc":
            self.client.do("close", client)
        self.client.open("d", self.pipe)
        self.assertEqual(self.client.ask("d", "d"), "2 d")

    def test_longer_messages(self):
        text = 'on_message = function(conn, message) return conn.generation .. " " .. #message end,'
        self.begin(text + " max_message = 100,")
        self.client.open("a", self.pipe)
        self.change(text + " max_message = 50000,")
        self.reload()
        self.client.open("b", self.pipe)
        self.assertEqual(self.client.ask("b", "x" * 40000), "2 40000")
        # One that was there keeps what it was made with.
        self.assertEqual(self.client.ask("a", "x" * 400)[0], "closed")

    def test_messages_too_long_for_the_system(self):
        if phtest.WINDOWS:
            self.skipTest("this system carries them")
        self.begin()
        self.client.open("a", self.pipe)
        self.change(MESSAGES + " max_message = 1 << 29,")
        self.reload_fails("does not carry messages that long", UNAVAILABLE)
        self.alive()
        self.answers("^1 hello$", self.client)

    def test_server_that_is_declared_later(self):
        """In on_start, in each generation: it takes over there too."""
        text = """
local pipehost = require "pipehost"
pipehost.on_start(function()
  pipehost.server {
    name = pipehost.config.pipe,
    on_message = function(conn, message) return conn.generation .. " " .. message end,
  }
  pipehost.log.info "declared"
end)
-- %d
"""
        self.serve(text % 1)
        self.server.wait_for("#1: declared")
        self.client = self.puppet()
        self.client.open("a", self.pipe)
        self.alive()
        self.save("server.lua", text % 2)
        self.reload()
        self.server.wait_for("#2: declared")
        self.answers("^2 hello$", self.client)
        self.alive(2)


if __name__ == "__main__":
    phtest.main()
