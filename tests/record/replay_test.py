#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""pipehost replay: what is as recorded passes, and anything else is told with its
place."""

import time

import recording
import phtest
from recording import OK, FAILED, SCRIPT_ERROR, UNAVAILABLE, USAGE, line, message

TALK = [
    "0 1 open", line(1, 1, ">", "one"), line(2, 1, "<", "<one>"), line(3, 1, ">", "two"),
    line(4, 1, "<", "<two>"), "5 1 close client",
]  # fmt: skip


class AsServer(recording.Case):
    def test_the_client_gets_what_was_recorded(self):
        self.recording(*TALK)
        replay, pipe = self.replayer()
        self.assertEqual(self.client(pipe, "one", "two"), ["<one>", "<two>"])
        self.assertEqual(replay.wait(), OK, replay)
        self.assertEqual(replay.out, self.path("a.rec") + ": 1 connection, 5 turns, as recorded")

    def test_the_pipe_is_the_recorded_one_by_default(self):
        name = self.pipe_name()
        self.write_file("a.rec", self.recording(*TALK).replace("Recorded", name))
        replay = self.start("replay", self.path("a.rec"))
        replay.wait_for("listening on")
        self.assertEqual(self.client(name, "one", "two"), ["<one>", "<two>"])
        self.assertEqual(replay.wait(), OK, replay)

    def fails(self, replay, *parts, status=FAILED):
        self.assertEqual(replay.wait(), status, replay)
        self.assertEqual(replay.out, "", replay)
        for part in parts:
            self.assertIn(part, replay.err)

    def test_another_message(self):
        self.recording(*TALK)
        replay, pipe = self.replayer()
        self.assertEqual(self.client(pipe, "one", "tva"), ["<one>", "(closed)"])
        self.fails(
            replay,
            "a.rec:8: connection 1: the client sent something else",
            "       0  74 77 6f                |two|       74 76 61                |tva|",
            "             ^^                                  ^^  first difference, offset 1",
        )

    def test_a_message_too_few(self):
        self.recording(*TALK)
        replay, pipe = self.replayer()
        self.client(pipe, "one")
        self.fails(
            replay,
            "a.rec:8: connection 1: expected 3 bytes from the client, but the client has closed",
            "  expected  74 77 6f  |two|",
        )

    def test_a_message_too_many(self):
        self.recording(*TALK)
        replay, pipe = self.replayer()
        self.assertEqual(self.client(pipe, "one", "two", "three"), ["<one>", "<two>", "(closed)"])
        self.fails(
            replay,
            "a.rec:10: connection 1: here the other end closed, but now it sent 5 bytes",
            "  got  74 68 72 65 65  |three|",
        )

    def test_a_client_that_says_nothing(self):
        self.recording(*TALK)
        replay, pipe = self.replayer("--timeout", "5000")
        client = self.background_client(pipe, text=recording.CLIENT + "conn:receive()\n")
        self.fails(replay, "a.rec:6: connection 1: expected 3 bytes from the client, but nothing came within 5000 ms")
        self.assertEqual(client.wait(), OK, client)

    def test_a_connection_that_never_comes(self):
        self.recording(*TALK, "6 2 open", line(7, 2, ">", "x"), "8 2 close client")
        replay, pipe = self.replayer("--timeout", "5000")
        self.client(pipe, "one", "two")
        self.fails(replay, "a.rec: connection 2: it was not opened within 5000 ms")

    def test_connections_in_the_order_of_their_opening(self):
        self.recording(
            "0 5 open", line(1, 5, "<", "five"), line(1, 5, ">", "ok"), "2 5 close client",
            "3 2 open", line(4, 2, "<", "two"), line(4, 2, ">", "ok"), "5 2 close client",
        )  # fmt: skip
        replay, pipe = self.replayer()
        text = """
        local pipe = require("pipehost").pipe
        for _ = 1, 2 do
          local conn <close> = assert(pipe.open((...), { timeout = 20000 }))
          print(assert(conn:receive()))
          assert(conn:send "ok")
        end
        """
        self.assertEqual(self.client(pipe, text=text), ["five", "two"])
        self.assertEqual(replay.wait(), OK, replay)

    def test_a_connection_too_many(self):
        self.recording("0 1 open", line(9, 1, ">", "last"), "10 1 close client")
        replay, pipe = self.replayer()
        text = """
        local pipe = require("pipehost").pipe
        local one = assert(pipe.open((...), { timeout = 20000 }))
        pipe.sleep(100)
        local two = assert(pipe.open((...), { timeout = 20000 }))
        print(two:receive() or "(closed)")
        one:send "last"
        """
        self.assertEqual(self.client(pipe, text=text), ["(closed)"])
        self.fails(replay, "a client opened a connection too many; recorded: 1")

    def test_stopped(self):
        self.recording(*TALK)
        replay, _ = self.replayer()
        self.assertEqual(replay.stop(), FAILED, replay)
        self.assertIn("a.rec: connection 1: it was not opened before the end", replay.err)

    def test_a_pipe_that_is_taken(self):
        self.recording(*TALK)
        _, pipe = self.serve()
        done = self.run_pipehost("replay", self.path("a.rec"), "--pipe", pipe)
        self.assertEqual(done.status, UNAVAILABLE, done)

    def test_anything_goes(self):
        self.recording(*TALK)
        replay, pipe = self.replayer("--match", "any")
        self.assertEqual(self.client(pipe, "something", ""), ["<one>", "<two>"])
        self.assertEqual(replay.wait(), OK, replay)

    def test_time_can_pass_as_it_did(self):
        self.recording("0 1 open", line(0, 1, ">", "one"), line(700, 1, "<", "late"), "701 1 close client")
        replay, pipe = self.replayer("--timing", "recorded")
        text = """
        local pipe = require("pipehost").pipe
        local conn <close> = assert(pipe.open((...), { timeout = 20000 }))
        local begin = pipe.now()
        assert(conn:send "one")
        print(assert(conn:receive()), pipe.now() - begin > 600)
        """
        self.assertEqual(self.client(pipe, text=text), ["late\ttrue"])
        self.assertEqual(replay.wait(), OK, replay)


class AsClient(recording.Case):
    def test_a_server_that_answers_as_recorded(self):
        self.recording(*TALK)
        _, pipe = self.serve()
        done = self.replay_as_client(pipe)
        self.assertEqual(done.status, OK, done)
        self.assertEqual(done.out, self.path("a.rec") + ": 1 connection, 5 turns, as recorded")

    def test_a_server_that_answers_otherwise(self):
        self.recording(*TALK[:3], line(3, 1, ">", "bye"), line(4, 1, "<", "<two>"))
        _, pipe = self.serve()
        done = self.replay_as_client(pipe)
        self.assertEqual(done.status, FAILED, done)
        self.assertIn("a.rec:9: connection 1: expected 5 bytes from the server, but the server has closed", done.err)
        self.recording(*TALK[:2], line(2, 1, "<", "[one]"))
        done = self.replay_as_client(pipe)
        self.assertEqual(done.status, FAILED, done)
        self.assertIn("a.rec:7: connection 1: the server sent something else", done.err)
        self.assertIn("first difference, offset 0", done.err)

    def test_connections_side_by_side(self):
        order = ["0 1 open", "0 2 open"]
        for i in range(5):
            for conn in (1, 2):
                order += [line(i, conn, ">", f"{conn}{i}"), line(i, conn, "<", f"<{conn}{i}>")]
        order += ["9 2 close client", "9 1 close client", "10 3 open", line(10, 3, ">", "x"), line(10, 3, "<", "<x>"), "11 3 close client"]
        self.recording(*order)
        text = recording.SERVER.replace("return ", 'if message == "x" then pipehost.log.info("x came") end return ')
        server, pipe = self.serve(text)
        done = self.replay_as_client(pipe)
        self.assertEqual(done.status, OK, done)
        self.assertIn("3 connections, 25 turns", done.out)
        server.wait_for("x came")

    def test_a_pipe_that_is_not_there(self):
        self.recording(*TALK)
        done = self.replay_as_client(self.pipe_name(), "--timeout", "100")
        self.assertEqual(done.status, FAILED, done)
        self.assertRegex(done.err, r"a\.rec: connection 1: open .*absent \(timeout")

    def test_stopped_while_it_waits(self):
        self.recording("0 1 open", line(1, 1, "<", "never"), "2 1 close client")
        server, pipe = self.serve(recording.SERVER.replace(
            "  on_message", '  on_open = function() pipehost.log.info "somebody" end,\n  on_message'))  # fmt: skip
        replay = self.start("replay", self.path("a.rec"), "--as", "client", "--pipe", pipe)
        server.wait_for("somebody")
        self.assertEqual(replay.stop(), FAILED, replay)
        self.assertIn("interrupted", replay.err)


class Bytes(recording.Case):
    TALK = [
        "0 1 open", line(1, 1, ">", "he"), line(1, 1, ">", "llo\n"), line(2, 1, "<", "you "),
        line(2, 1, "<", "said hello\n"), line(3, 1, ">", "x\n"), line(3, 1, "<", "you said x\n"), "4 1 close client",
    ]  # fmt: skip

    def test_the_stream_counts_and_not_its_chunks(self):
        self.recording(*self.TALK, mode="byte")
        for chunk in ("all", "1"):
            replay, pipe = self.replayer()
            out = self.client(pipe, chunk, "hello", "x", text=recording.BYTE_CLIENT)
            self.assertEqual(out, ["you said hello", "you said x"])
            self.assertEqual(replay.wait(), OK, replay)
        _, pipe = self.serve(recording.BYTE_SERVER)
        done = self.replay_as_client(pipe)
        self.assertEqual(done.status, OK, done)

    def test_a_difference_shows_as_soon_as_it_comes(self):
        self.recording("0 1 open", line(1, 1, ">", "a" * 1000), "4 1 close client", mode="byte")
        replay, pipe = self.replayer()
        text = """
        local conn = assert(require("pipehost").pipe.open((...), { mode = "byte", timeout = 20000 }))
        assert(conn:write "aaab")
        print(conn:read(1) or "(closed)")
        """
        self.assertEqual(self.client(pipe, text=text), ["(closed)"])
        self.assertEqual(replay.wait(), FAILED, replay)
        self.assertIn("a.rec:6: connection 1: the client sent something else", replay.err)
        self.assertIn("first difference, offset 3", replay.err)

    def test_too_little(self):
        self.recording(*self.TALK, mode="byte")
        replay, pipe = self.replayer()
        text = 'assert(require("pipehost").pipe.open((...), { mode = "byte", timeout = 20000 })):write "hel"'
        self.client(pipe, text=text)
        self.assertEqual(replay.wait(), FAILED, replay)
        self.assertIn("expected 6 bytes from the client, but the client has closed", replay.err)
        self.assertIn("  so far    68 65 6c  |hel|", replay.err)

    def test_too_much(self):
        self.recording(*self.TALK, mode="byte")
        replay, pipe = self.replayer()
        out = self.client(pipe, "all", "hello", "x", "y", text=recording.BYTE_CLIENT)
        self.assertEqual(out, ["you said hello", "you said x", "(closed)"])
        self.assertEqual(replay.wait(), FAILED, replay)
        self.assertIn("here the other end closed, but now it sent 2 bytes", replay.err)


PROTOCOL = """
local pipehost = require "pipehost"
local Ask = pipehost.struct("<", {
  name = "ask", { "length", "I2" }, { "id", "I4" }, { "time", "I4" }, { "password", "char[8]" },
})
local Answer = pipehost.struct("<", { name = "answer", { "length", "I2" }, { "id", "I4" } })
local Header = pipehost.struct("<", { name = "header", { "length", "I2" } })
return { client = Ask, server = Answer, frame = FRAME, Ask = Ask, Answer = Answer }
"""

ASK_CLIENT = """
local pipehost = require "pipehost"
local protocol = require "protocol"
local name, mode, time, id = ...
local conn <close> = assert(pipehost.pipe.open(name, { mode = mode, timeout = 20000 }))
local ask = protocol.Ask:pack { length = 16, id = tonumber(id), time = tonumber(time), password = "secret" }
if mode == "byte" then
  for c in (ask .. ask):gmatch "." do
    assert(conn:write(c))
  end
  for _ = 1, 2 do
    print(protocol.Answer:unpack(conn:read_exact(6) or "").id)
  end
else
  assert(conn:send(ask))
  local answer = protocol.Answer:unpack(conn:receive() or "")
  print(answer and answer.id or "(closed)")
end
"""

ASK_SERVER = """
local pipehost = require "pipehost"
local protocol = require "protocol"
pipehost.server {
  name = pipehost.config.pipe,
  on_message = function(_, message)
    local ask = assert(protocol.Ask:unpack(message))
    assert(ask.password == "secret")
    return protocol.Answer:pack { length = 4, id = ask.id }
  end,
}
"""


class Fields(recording.Case):
    def setUp(self):
        super().setUp()
        self.protocol(frame="nil")

    def protocol(self, frame):
        self.protocol_path = self.script(PROTOCOL.replace("FRAME", frame), "protocol.lua")

    def ask(self, pipe, mode="message", time=1, id=7):
        return self.client(pipe, mode, str(time), str(id), text=ASK_CLIENT)

    def record(self, *options):
        _, target = self.serve(ASK_SERVER)
        recorder, pipe = self.recorder(target, "--connections", "1", "--protocol", self.protocol_path, *options)
        self.assertEqual(self.ask(pipe), ["7"])
        self.assertEqual(recorder.wait(), OK, recorder)
        return target

    def replay(self, *options, time=1, id=7):
        replay, pipe = self.replayer("--protocol", self.protocol_path, *options)
        out = self.ask(pipe, time=time, id=id)
        replay.wait()
        return replay, out

    def test_fields_that_are_ignored(self):
        self.record()
        replay, out = self.replay("--ignore", "time", time=99)
        self.assertEqual((replay.wait(), out), (OK, ["7"]), replay)
        replay, out = self.replay("--ignore", "time", id=8)
        self.assertEqual((replay.wait(), out), (FAILED, ["(closed)"]), replay)
        self.assertIn("  got, as struct ask:", replay.err)
        self.assertIn("id = 8", replay.err)
        replay, _ = self.replay(time=99)
        self.assertEqual(replay.wait(), FAILED, replay)

    def test_what_was_hidden_is_not_compared(self):
        target = self.record("--redact", "password")
        self.assertNotIn(recording.hexes("secret"), self.read("a.rec"))
        replay, out = self.replay()
        self.assertEqual((replay.wait(), out), (OK, ["7"]), replay)
        # Without the structs nobody can tell where it is.
        done = self.run_pipehost("replay", self.path("a.rec"))
        self.assertEqual(done.status, USAGE, done)
        self.assertIn("field 'password': --protocol FILE is to tell the structs", done.err)
        # A server sees that the password is hidden.
        done = self.replay_as_client(target, "--protocol", self.protocol_path)
        self.assertEqual(done.status, FAILED, done)

    def frames(self):
        ask = bytes([16, 0, 7, 0, 0, 0, 1, 0, 0, 0]) + b"secret\0\0"
        answer = bytes([4, 0, 7, 0, 0, 0])
        self.recording(
            "0 1 open", f"1 1 > 5 {ask[:5].hex()}", f"1 1 > 31 {(ask[5:] + ask).hex()}", f"2 1 < 6 {answer.hex()}",
            f"3 1 < 6 {answer.hex()}", "4 1 close client", mode="byte",
        )  # fmt: skip

    def test_frames_of_a_byte_pipe(self):
        self.frames()
        self.protocol(frame="Header")
        options = ["--protocol", self.protocol_path, "--ignore", "time"]
        replay, pipe = self.replayer(*options)
        self.assertEqual(self.ask(pipe, mode="byte", time=55), ["7", "7"])
        self.assertEqual(replay.wait(), OK, replay)
        self.assertIn("5 turns", replay.out)
        self.protocol(frame="nil")
        done = self.run_pipehost("replay", self.path("a.rec"), *options)
        self.assertEqual(done.status, USAGE, done)
        self.assertIn("fields of a byte pipe can be ignored only where the protocol tells its frame", done.err)


class Modes(recording.Case):
    def test_once_records_what_is_not_there_and_replays_what_is(self):
        server, target = self.serve()
        options = ["--record", "once", "--to", target]
        pipe = self.pipe_name()
        process = self.start("replay", self.path("a.rec"), "--pipe", pipe, "--connections", "1", *options)
        process.wait_for("recording ")
        self.assertEqual(self.client(pipe, "one"), ["<one>"])
        self.assertEqual(process.wait(), OK, process)
        server.stop()
        replay, pipe = self.replayer("--record", "once")
        self.assertEqual(self.client(pipe, "one"), ["<one>"])
        self.assertEqual(replay.wait(), OK, replay)
        replay, pipe = self.replayer("--record", "once")
        self.assertEqual(self.client(pipe, "two"), ["(closed)"])
        self.assertEqual(replay.wait(), FAILED, replay)

    def test_new_records_further_connections(self):
        self.recording(*TALK)
        _, target = self.serve()
        replay, pipe = self.replayer("--record", "new", "--to", target, "--connections", "2")
        self.assertEqual(self.client(pipe, "one", "two"), ["<one>", "<two>"])
        self.assertEqual(self.client(pipe, "three"), ["<three>"])
        self.assertEqual(replay.wait(), OK, replay)
        self.assertIn("2 connections", replay.out)
        self.assertEqual(
            self.events()[6:],
            ["2 open", message(2, ">", "three"), message(2, "<", "<three>"), "2 close client"],
        )
        replay, pipe = self.replayer()
        self.assertEqual(self.client(pipe, "one", "two"), ["<one>", "<two>"])
        self.assertEqual(self.client(pipe, "three"), ["<three>"])
        self.assertEqual(replay.wait(), OK, replay)

    def test_all_records_everything_anew(self):
        self.recording("0 1 open", line(1, 1, ">", "old"), "2 1 close client")
        _, target = self.serve()
        pipe = self.pipe_name()
        options = ["--record", "all", "--to", target, "--connections", "1"]
        process = self.start("replay", self.path("a.rec"), "--pipe", pipe, *options)
        process.wait_for("recording ")
        self.client(pipe, "one")
        self.assertEqual(process.wait(), OK, process)
        self.assertEqual(self.events()[1:3], [message(1, ">", "one"), message(1, "<", "<one>")])

    def test_a_clients_end_is_recorded_anew(self):
        self.recording(*TALK[:2], line(2, 1, "<", "(one)"), "3 1 close client", header="note kept\n")
        _, pipe = self.serve()
        self.assertEqual(self.replay_as_client(pipe).status, FAILED)
        done = self.replay_as_client(pipe, "--record", "all")
        self.assertEqual(done.status, OK, done)
        self.assertIn("\nnote kept\n", self.read("a.rec"))
        self.assertEqual(
            self.events(), ["1 open", message(1, ">", "one"), message(1, "<", "<one>"), "1 close client"]
        )
        self.assertEqual(self.replay_as_client(pipe).status, OK)

    def test_usage(self):
        self.recording(*TALK)
        for pattern, options in (
            ("--to and --connections belong to --record", ["--to", "x"]),
            ("--record new needs --to TARGET", ["--record", "new"]),
            ("--record all needs --to TARGET", ["--record", "all"]),
            ("--record once needs --as server", ["--record", "once", "--as", "client"]),
            ("field 'x': --protocol FILE", ["--ignore", "x"]),
            ("must be one of", ["--timing", "slow"]),
        ):
            with self.subTest(pattern):
                done = self.run_pipehost("replay", self.path("a.rec"), *options)
                self.assertEqual(done.status, USAGE, done)
                self.assertRegex(done.err, pattern)
        done = self.run_pipehost("replay", self.path("no.rec"), "--record", "once", "--to", "x")
        self.assertRegex(done.err, "no.rec: there is no such file to tell the pipe's name; give --pipe NAME")
        self.assertEqual(done.status, USAGE, done)

    def test_files_that_are_no_recordings(self):
        done = self.run_pipehost("replay", self.path("no.rec"))
        self.assertEqual(done.status, SCRIPT_ERROR, done)
        self.assertIn("no.rec: there is no such recording", done.err)
        self.recording("0 1 open", "1 1 > 5 61")
        done = self.run_pipehost("replay", self.path("a.rec"))
        self.assertEqual(done.status, SCRIPT_ERROR, done)
        self.assertIn("a.rec:6: 5 bytes are announced, but there are 1", done.err)


class Speed(recording.Case):
    def test_fast_is_as_fast_as_it_goes(self):
        self.recording("0 1 open", line(1, 1, ">", "one"), line(60000, 1, "<", "<one>"), "120000 1 close client")
        begin = time.monotonic()
        replay, pipe = self.replayer()
        self.assertEqual(self.client(pipe, "one"), ["<one>"])
        self.assertEqual(replay.wait(), OK, replay)
        self.assertLess(time.monotonic() - begin, 60)


if __name__ == "__main__":
    phtest.main()
