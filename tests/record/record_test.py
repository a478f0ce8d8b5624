#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""pipehost record, between real programs: nobody notices it, and the file says what
was said."""

import os

import recording
import phtest
from recording import OK, FAILED, SCRIPT_ERROR, UNAVAILABLE, USAGE, message


class Messages(recording.Case):
    def test_a_conversation(self):
        _, target = self.serve()
        recorder, pipe = self.recorder(target, "--connections", "1")
        self.assertEqual(self.client(pipe, "one", "two", "bye"), ["<one>", "<two>", "(closed)"])
        self.assertEqual(recorder.wait(), OK, recorder)
        self.assertEqual(recorder.out, self.path("a.rec") + ": 1 connection, 5 messages")
        head, _ = self.read("a.rec").split("\n\n", 1)
        system = "windows" if phtest.WINDOWS else "linux"
        self.assertEqual(head, f"pipehost-record 1\npipe {target}\nmode message\nsystem {system}")
        self.assertEqual(
            self.events(),
            [
                "1 open", message(1, ">", "one"), message(1, "<", "<one>"), message(1, ">", "two"),
                message(1, "<", "<two>"), message(1, ">", "bye"), "1 close server",
            ],
        )  # fmt: skip

    def test_the_client_closes(self):
        _, target = self.serve()
        recorder, pipe = self.recorder(target, "--connections", "1")
        self.client(pipe, "one")
        self.assertEqual(recorder.wait(), OK, recorder)
        self.assertEqual(self.events()[-1], "1 close client")

    def test_empty_and_long_messages(self):
        _, target = self.serve(recording.SERVER, "--set", "max=200000")
        recorder, pipe = self.recorder(target, "--connections", "1", "--max-message", "150000")
        text = recording.CLIENT.replace("timeout = 20000", "timeout = 20000, max_message = 200000").replace(
            "{ select(2, ...) }", "{ '', ('x'):rep(100000) }"
        )
        out = self.client(pipe, text=text)
        self.assertEqual(out, ["<>", "<" + "x" * 100000 + ">"])
        self.assertEqual(recorder.wait(), OK, recorder)
        events = self.events()
        self.assertEqual(events[1], "1 > (empty)")
        self.assertEqual(events[3], message(1, ">", "x" * 100000))
        self.assertEqual(events[4], message(1, "<", "<" + "x" * 100000 + ">"))

    def test_connections_side_by_side(self):
        _, target = self.serve()
        recorder, pipe = self.recorder(target, "--connections", "3")
        words = [[f"{who}{i}" for i in range(20)] for who in "abc"]
        clients = [self.background_client(pipe, *list_of) for list_of in words]
        for client, list_of in zip(clients, words):
            self.assertEqual(client.wait(), OK, client)
            self.assertEqual(client.out.splitlines(), [f"<{word}>" for word in list_of])
        self.assertEqual(recorder.wait(), OK, recorder)
        events = self.events()
        said = set()
        for number in "123":
            mine = [event for event in events if event.startswith(number)]
            self.assertEqual((mine[0], mine[-1]), (number + " open", number + " close client"))
            self.assertEqual(len(mine), 42)
            said.add(mine[1].split(" ", 2)[2])
        self.assertEqual(said, {recording.hexes(word) for word in ("a0", "b0", "c0")})

    def test_what_was_recorded_until_a_stop_is_there(self):
        _, target = self.serve()
        recorder, pipe = self.recorder(target)
        text = recording.CLIENT + "conn:receive()\nprint 'over'\n"
        client = self.background_client(pipe, "one", text=text)
        client.wait_for("<one>")
        self.assertEqual(self.events(), ["1 open", message(1, ">", "one"), message(1, "<", "<one>")])
        self.assertEqual(recorder.stop(), OK, recorder)
        client.wait_for("over")
        self.assertEqual(client.wait(), OK, client)
        self.assertEqual(len(self.events()), 3)
        self.assertIn("1 connection, 2 messages", recorder.out)

    def test_a_client_that_is_killed(self):
        _, target = self.serve()
        recorder, pipe = self.recorder(target, "--connections", "1")
        client = self.background_client(pipe, "one", text=recording.CLIENT + "conn:receive()\n")
        client.wait_for("<one>")
        client.kill()
        self.assertEqual(recorder.wait(), OK, recorder)
        self.assertEqual(self.events()[-1], "1 close client")

    def test_a_server_that_is_not_there(self):
        recorder, pipe = self.recorder(self.pipe_name(), "--timeout", "100")
        text = recording.CLIENT.replace("assert(conn:send(word))", "conn:send(word)")
        self.assertEqual(self.client(pipe, "x", text=text), ["(closed)"])
        recorder.wait_for("connection 1: open .*absent")
        self.assertEqual(recorder.stop(), OK, recorder)
        self.assertEqual(self.events(), [])

    def test_a_message_that_is_too_long(self):
        _, target = self.serve()
        recorder, pipe = self.recorder(target, "--max-message", "100", "--connections", "1")
        text = recording.CLIENT.replace("assert(conn:send(word))", "conn:send(word:rep(200))")
        self.assertEqual(self.client(pipe, "x", text=text), ["(closed)"])
        recorder.wait_for("connection 1: .*toobig")
        self.assertEqual(recorder.wait(), OK, recorder)
        self.assertEqual(self.events(), ["1 open"])


class Bytes(recording.Case):
    def test_what_is_said_comes_through(self):
        _, target = self.serve(recording.BYTE_SERVER)
        recorder, pipe = self.recorder(target, "--mode", "byte", "--connections", "1")
        out = self.client(pipe, "all", "one", "two", text=recording.BYTE_CLIENT)
        self.assertEqual(out, ["you said one", "you said two"])
        self.assertEqual(recorder.wait(), OK, recorder)
        self.assertIn("mode byte", self.read("a.rec"))
        said = {
            way: "".join(e.split(" ", 2)[2] + " " for e in self.events() if e.startswith("1 " + way)).split()
            for way in "><"
        }
        self.assertEqual(said[">"], recording.hexes("one\ntwo\n").split())
        self.assertEqual(said["<"], recording.hexes("you said one\nyou said two\n").split())

    def test_much_in_both_directions(self):
        _, target = self.serve(recording.BYTE_ECHO)
        recorder, pipe = self.recorder(target, "--mode", "byte", "--connections", "1")
        out = self.client(pipe, text=recording.MUCH)
        self.assertEqual(out, ["true"])
        self.assertEqual(recorder.wait(120), OK, recorder)
        size = sum(int(line.split()[3]) for line in self.read("a.rec").splitlines() if " > " in line[:20])
        self.assertEqual(size, 1 << 20)


PROTOCOL = """
local pipehost = require "pipehost"
local Login = pipehost.struct("<", { name = "login", { "user", "char[8]" }, { "password", "char[8]" } })
return { client = Login, Login = Login, frame = FRAME }
"""


class Redacted(recording.Case):
    def login(self, pipe):
        return self.client(
            pipe,
            text="""
            local pipe = require("pipehost").pipe
            local conn = assert(pipe.open((...), { timeout = 20000 }))
            assert(conn:send "ann\\0\\0\\0\\0\\0secret\\0\\0")
            print(#assert(conn:receive()))
            assert(conn:send "short")
            print(#assert(conn:receive()))
            """,
        )

    def test_secrets_are_not_written(self):
        _, target = self.serve()
        protocol = self.script(PROTOCOL.replace("FRAME", "nil"), "protocol.lua")
        options = ["--protocol", protocol, "--redact", "password", "--connections", "1"]
        recorder, pipe = self.recorder(target, *options)
        # What the server gets is whole.
        self.assertEqual(self.login(pipe), ["18", "7"])
        recorder.wait_for("connection 1: a message of 5 bytes fits no struct; nothing is hidden in it")
        self.assertEqual(recorder.wait(), OK, recorder)
        self.assertIn("\nredacted password\n", self.read("a.rec"))
        hidden = recording.hexes("ann\0\0\0\0\0******\0\0")
        self.assertEqual(self.events()[1], "1 > " + hidden)

    def test_in_frames_of_a_byte_pipe(self):
        frame = 'pipehost.struct(">", { { "length", "I1" } })'
        text = PROTOCOL.replace("FRAME", frame).replace(
            '{ "user"', '{ "length", "B" }, { "user"'
        )
        protocol = self.script(text, "protocol.lua")
        _, target = self.serve(
            """
            local pipehost = require "pipehost"
            pipehost.server { name = pipehost.config.pipe, mode = "byte", session = function(conn)
              conn:write("\\2ok" .. conn:read_exact(17))
              conn:read(1)
            end }
            """
        )
        options = ["--mode", "byte", "--protocol", protocol, "--redact", "password", "--connections", "1"]
        recorder, pipe = self.recorder(target, *options)
        out = self.client(
            pipe,
            text="""
            local pipe = require("pipehost").pipe
            local conn = assert(pipe.open((...), { mode = "byte", timeout = 20000 }))
            for c in ("\\16ann-----secret--"):gmatch "." do
              assert(conn:write(c))
            end
            print(conn:read_exact(20) == "\\2ok\\16ann-----secret--")
            """,
        )
        self.assertEqual(out, ["true"])
        self.assertEqual(recorder.wait(), OK, recorder)
        self.assertEqual(self.events()[1], message(1, ">", "\x10ann-----********"))
        self.assertNotIn(recording.hexes("secret"), self.events()[1])

    def test_what_cannot_be_hidden_is_refused(self):
        protocol = self.script(PROTOCOL.replace("FRAME", "nil"), "protocol.lua")

        def refused(status, pattern, *options):
            done = self.run_pipehost("record", "--listen", "x", "--to", "y", "-o", self.path("b.rec"), *options)
            self.assertEqual(done.status, status, done)
            self.assertRegex(done.err, pattern)
            self.assertFalse(os.path.exists(os.path.join(self.folder, "b.rec")))

        refused(USAGE, "field 'password': --protocol FILE is to tell the structs", "--redact", "password")
        both = ["--protocol", protocol, "--redact"]
        refused(USAGE, r"no struct has a field 'pasword' \(did you mean 'password'\?\)", *both, "pasword")
        refused(USAGE, "the protocol is to tell its frame", *both, "password", "--mode", "byte")
        broken = self.script("return 5", "broken.lua")
        refused(SCRIPT_ERROR, "broken.lua: returns a number", "--protocol", broken)
        broken = self.script("local x = = 1", "broken.lua")
        refused(SCRIPT_ERROR, r"broken.lua:1: unexpected symbol", "--protocol", broken)
        refused(SCRIPT_ERROR, "cannot read .*nothing.lua", "--protocol", self.path("nothing.lua"))


class Refused(recording.Case):
    def record(self, *options, listen=None, name="a.rec"):
        return self.run_pipehost(
            "record", "--listen", listen or self.pipe_name(), "--to", "x", "-o", self.path(name), *options
        )

    def test_a_pipe_that_is_taken(self):
        _, pipe = self.serve()
        done = self.record(listen=pipe)
        self.assertEqual(done.status, UNAVAILABLE, done)
        self.assertRegex(done.err, "exists")

    def test_a_file_that_cannot_be_written(self):
        done = self.record(name="no/folder/a.rec")
        self.assertEqual(done.status, FAILED, done)
        self.assertRegex(done.err, "pipehost: cannot write .*a.rec")

    def test_usage(self):
        for options in (["--mode", "x"], ["--connections", "0"], ["--timeout", "x"], ["--max-message", "-1"]):
            with self.subTest(options):
                self.assertEqual(self.record(*options).status, USAGE)
        self.assertEqual(self.run_pipehost("record", "--listen", "x").status, USAGE)


if __name__ == "__main__":
    phtest.main()
