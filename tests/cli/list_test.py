#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# run.py: timeout=300
"""`list`: what it tells of pipes of serving pipehosts, and of others."""

import json
import os
import socket
import unittest

import cli
import phtest

LIMITED = """
local pipehost = require "pipehost"
pipehost.server { name = pipehost.config.pipe, mode = "byte", max_instances = 5, session = function(conn)
  conn:read()
end }
"""

# A client that stays.
HOLD = """
local conn = assert(require("pipehost").pipe.open(..., { timeout = 10000 }))
print "here"
conn:read()
"""

# A server without a control pipe.
ALONE = """
local pipehost = require "pipehost"
pipehost.server { name = ..., on_message = function() end }
print "listening"
pipehost.pipe.sleep(60000)
"""


class List(cli.Case):
    def listed(self, *words):
        done = self.run_pipehost("list", "--json", *words)
        self.assertEqual((done.status, done.err), (0, ""), done)
        return json.loads(done.out)

    def one(self, pipe):
        found = self.listed(pipe)
        self.assertEqual(len(found), 1, found)
        return found[0]

    def test_of_a_serving_script(self):
        server, pipe = self.serve(cli.ECHO)
        entry = self.one(pipe)
        self.assertEqual(entry["name"], pipe)
        self.assertEqual((entry["mode"], entry["instances"], entry["generation"]), ("message", 0, 1))
        self.assertTrue(entry["script"].endswith("server.lua"), entry)
        self.assertIn(f"server pipehost-ctl-{entry['pid']}: listening", server.err)
        if not phtest.WINDOWS:
            self.assertEqual((entry["pid"], entry["uid"]), (server.pid, os.getuid()))

    def test_its_clients_and_its_limit(self):
        _, pipe = self.serve(LIMITED)
        client = self.start("run", self.script(HOLD, "hold.lua"), pipe)
        client.wait_for("here")
        entry = phtest.eventually(lambda: (e := self.one(pipe))["instances"] == 1 and e)
        self.assertEqual((entry["mode"], entry["max_instances"]), ("byte", 5))
        done = self.run_pipehost("list", pipe)
        self.assertRegex(done.out, rf"(?m)^{pipe} +byte +1 of 5 +pid \d+.*  \S+server\.lua, generation 1$")
        client.kill()

    def test_text_names_its_columns(self):
        _, pipe = self.serve(cli.ECHO)
        done = self.run_pipehost("list", pipe.upper())
        self.assertRegex(done.out, r"^PIPE +MODE +INSTANCES +OWNER +SCRIPT\n")
        self.assertEqual(len(done.out.splitlines()), 2, done)

    def test_none(self):
        done = self.run_pipehost("list", self.pipe_name())
        self.assertEqual((done.status, done.out), (0, ""), done)
        self.assertIn("no pipe is served", done.err)
        self.assertEqual(self.listed(self.pipe_name()), [])

    def test_a_server_that_says_nothing_of_itself(self):
        pipe = self.pipe_name()
        server = self.start("run", self.script(ALONE), pipe)
        server.wait_for("listening")
        if phtest.WINDOWS:
            # Wine does not list pipes; Windows tells the name.
            self.assertIn(len(self.listed(pipe)), (0, 1))
            return
        entry = self.one(pipe)
        self.assertEqual((entry["mode"], entry["pid"], entry["uid"]), ("message", server.pid, os.getuid()))
        self.assertNotIn("script", entry)

    @unittest.skipIf(phtest.WINDOWS, "the sockets of other programs are Linux's")
    def test_a_socket_of_another_program(self):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.addCleanup(sock.close)
        sock.bind(os.path.join(self.pipes, "foreign"))
        self.assertEqual(self.listed("foreign"), [])
        sock.listen(4)
        clients = [socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) for _ in range(2)]
        for client in clients:
            client.connect(sock.getsockname())
            self.addCleanup(client.close)
        entry = self.one("foreign")
        self.assertEqual((entry["mode"], entry["instances"], entry["uid"]), ("byte", 2, os.getuid()))
        self.assertNotIn("pid", entry)


if __name__ == "__main__":
    phtest.main()
