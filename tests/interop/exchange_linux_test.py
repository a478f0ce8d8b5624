#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The ServerInfo exchange with programs that are not ours: Python's sockets
as the client of our server, and as the server of our client."""

import os
import signal
import sys
import time

import interop
import phtest

# A client that will be killed: it asks, says so, and does nothing more.
SILENT_CLIENT = """
import socket, struct, sys, time
peer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
peer.connect(sys.argv[1])
for _ in range(int(sys.argv[2])):
    peer.send(struct.pack("<I", 1))
if sys.argv[3] == "read":
    peer.recv(64)
print("asked", flush=True)
time.sleep(60)
"""

# Answers the first message, and closes at once; with what else the client has
# sent lying unread, or with nothing else sent.
LAST_WORDS = """
local pipehost = require "pipehost"

pipehost.server {
  name = "LastWords", mode = "message", timeout = 5000,
  session = function(conn)
    local first = assert(conn:receive())
    local unread = tonumber(first)
    for _ = 1, 5000 do
      if conn:peek().available >= unread then break end
      pipehost.pipe.sleep(1)
    end
    assert(conn:peek().available == unread)
    assert(conn:send("last words"))
  end,
}
"""


class Case(phtest.TestCase):
    def path(self, name):
        return os.path.join(self.pipes, name.lower())


class OurServer(Case):
    def serve(self, script=interop.SERVER_SCRIPT):
        server = self.start("serve", script)
        self.addCleanup(lambda: server.running() and server.stop())
        return server

    def client(self, server, name="ServerInfo"):
        client = interop.Client(self.path(name), server)
        self.addCleanup(client.socket.close)
        return client

    def test_one_question(self):
        client = self.client(self.serve())
        self.assertEqual(client.ask(), 3)
        client.end()

    def test_many_questions(self):
        client = self.client(self.serve())
        for _ in range(100):
            self.assertEqual(client.ask(), 3)
        client.end()

    def test_clients_one_after_the_other(self):
        server = self.serve()
        for _ in range(50):
            with self.client(server) as client:
                self.assertEqual(client.ask(), 3)
                client.end()

    def test_clients_at_the_same_time(self):
        server = self.serve()
        clients = [self.client(server) for _ in range(20)]
        for client in clients:
            client.send(interop.flag(interop.FLAG_ASK))
        for client in clients:
            self.assertEqual(client.receive(), interop.server_info(3))
        for client in clients:
            client.end()

    def test_questions_before_the_first_answer(self):
        client = self.client(self.serve())
        for value in (interop.FLAG_ASK, interop.FLAG_ASK, interop.FLAG_END):
            client.send(interop.flag(value))
        self.assertEqual(client.receive(), interop.server_info(3))
        self.assertEqual(client.receive(), interop.server_info(3))
        client.expect_closed()

    def refuse(self, message):
        """That client is sent away, with a line in the log, and another one
        that is in the middle does not notice."""
        server = self.serve()
        good, bad = self.client(server), self.client(server)
        self.assertEqual(good.ask(), 3)
        self.assertEqual(bad.ask(), 3)
        bad.send(message)
        bad.expect_closed()
        server.wait_for(interop.COMPLAINT)
        self.assertRegex(server.err, interop.COMPLAINT)
        self.assertEqual(good.ask(), 3)
        good.end()
        self.assertEqual(self.client(server).ask(), 3)

    def test_short_message(self):
        self.refuse(b"\1\0\0")

    def test_long_message(self):
        self.refuse(interop.flag(interop.FLAG_ASK) + b"\0")

    def test_empty_message(self):
        self.refuse(b"")

    def test_huge_message(self):
        self.refuse(b"x" * 100000)

    def test_unknown_flag(self):
        self.refuse(interop.flag(99))

    def test_client_that_sends_nothing(self):
        server = self.serve()
        begin = time.monotonic()
        client = self.client(server)
        client.expect_closed()
        self.assertGreater(time.monotonic() - begin, 2.5)
        self.assertEqual(self.client(server).ask(), 3)

    def kill_a_client(self, questions, then):
        server = self.serve()
        good = self.client(server)
        self.assertEqual(good.ask(), 3)
        victim = self.spawn(
            [sys.executable, "-c", SILENT_CLIENT, self.path("ServerInfo"), questions, then]
        )
        victim.wait_for("asked")
        victim.signal(signal.SIGKILL)
        victim.wait()
        self.assertEqual(good.ask(), 3)
        good.end()
        self.assertEqual(self.client(server).ask(), 3)
        self.assertTrue(server.running(), server)

    def test_client_killed_between_questions(self):
        self.kill_a_client("1", "read")

    def test_client_killed_before_it_reads(self):
        self.kill_a_client("1", "leave")

    def test_client_killed_with_many_answers_unread(self):
        self.kill_a_client("30", "leave")

    def test_client_that_closes_without_a_word(self):
        server = self.serve()
        for _ in range(20):
            self.client(server).socket.close()
        self.assertEqual(self.client(server).ask(), 3)

    def test_stopped_in_the_middle(self):
        server = self.serve()
        client = self.client(server)
        self.assertEqual(client.ask(), 3)
        server.signal(signal.SIGTERM)
        self.assertEqual(server.wait(), 0, server)
        client.expect_closed()
        self.assertFalse(os.path.exists(self.path("ServerInfo")))

    def last_words(self, unread):
        server = self.serve(self.write_file("last_words.lua", LAST_WORDS))
        for _ in range(10):
            with self.client(server, "LastWords") as client:
                client.send(str(sum(unread)).encode())
                for size in unread:
                    client.send(b"u" * size)
                self.assertEqual(client.receive(), b"last words")
                client.expect_closed()

    def test_reply_then_close(self):
        self.last_words([])

    def test_reply_then_close_with_unread_input(self):
        self.last_words([1])

    def test_reply_then_close_with_much_unread_input(self):
        self.last_words([1000] * 20)


class OurClient(Case):
    def run_client(self):
        return self.run_pipehost("run", interop.CLIENT_SCRIPT)

    def exchange(self, value):
        heard = []

        def talk(peer):
            heard.append(peer.recv(64))
            peer.send(interop.server_info(value))
            heard.append(peer.recv(64))

        with interop.Server(self.path("ServerInfo"), talk):
            done = self.run_client()
        self.assertEqual(heard, [interop.flag(interop.FLAG_ASK), interop.flag(interop.FLAG_END)])
        self.assertEqual(done.status, 0, done)
        self.assertIn(f"iFage = {value}", done.out.splitlines())

    def test_exchange(self):
        self.exchange(3)

    def test_other_values(self):
        self.exchange(-7)

    def test_server_that_does_not_wait_for_the_end(self):
        def talk(peer):
            peer.recv(64)
            peer.send(interop.server_info(3))

        with interop.Server(self.path("ServerInfo"), talk):
            done = self.run_client()
        self.assertIn(done.status, (0, 1), done)

    def expect_failure(self, talk):
        """The client says that and why it has failed, and prints no value."""
        with interop.Server(self.path("ServerInfo"), talk):
            done = self.run_client()
        self.assertGreater(done.status, 0, done)
        self.assertNotIn("iFage =", done.out)
        self.assertTrue(done.err.strip(), done)

    def wrong_answer(self, answer):
        def talk(peer):
            peer.recv(64)
            peer.send(answer)
            peer.recv(64)

        self.expect_failure(talk)

    def test_short_answer(self):
        self.wrong_answer(b"\3\0\0")

    def test_long_answer(self):
        self.wrong_answer(b"\3\0\0\0\0")

    def test_empty_answer(self):
        self.wrong_answer(b"")

    def test_no_answer(self):
        def talk(peer):
            peer.recv(64)
            self.assertEqual(peer.recv(64), b"")

        begin = time.monotonic()
        self.expect_failure(talk)
        self.assertGreater(time.monotonic() - begin, 0.4)

    def test_server_that_closes_instead(self):
        self.expect_failure(lambda peer: peer.recv(64))

    def test_server_that_closes_unheard(self):
        self.expect_failure(lambda peer: None)


if __name__ == "__main__":
    phtest.main()
