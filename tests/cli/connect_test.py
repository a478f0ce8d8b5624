#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# run.py: timeout=400
"""`connect`: what goes out, what is shown, how it ends, and with what status."""

import subprocess

import cli
import phtest

# Lines of a byte pipe; "quit" ends the connection.
UPPER = """
local pipehost = require "pipehost"
pipehost.server { name = pipehost.config.pipe, mode = "byte", session = function(conn)
  for line in conn:lines() do
    if line == "quit" then return end
    conn:write(line:upper() .. "\\n")
  end
end }
"""

# All that comes, when the client has closed its end or said a full stop.
GATHER = """
local pipehost = require "pipehost"
pipehost.server { name = pipehost.config.pipe, mode = "byte", session = function(conn)
  local all = ""
  repeat
    local bytes = conn:read()
    all = all .. (bytes or "")
  until not bytes or all:sub(-1) == "."
  conn:write(("%d bytes, %s"):format(#all, all))
end }
"""

# Says something by itself, then what it is told to.
TALKS = """
local pipehost = require "pipehost"
pipehost.server { name = pipehost.config.pipe, session = function(conn)
  conn:send "welcome"
  for message in conn:messages() do
    if message == "bye" then return end
    if message ~= "quiet" then conn:send(message) end
  end
end }
"""

LISTENS = """
local pipehost = require "pipehost"
pipehost.server { name = pipehost.config.pipe, direction = "inbound", session = function(conn)
  for message in conn:messages() do print("got " .. message) end
  print "end"
end }
"""

STRUCTS = """
local pipehost = require "pipehost"
return {
  number = 5,
  Ask = pipehost.struct("<", { name = "ask", { "kind", "B", enum = { get = 1, put = 2 } }, { "n", "I2" } }),
  Reply = pipehost.struct("<", { { "n", "i4" }, { "text", "char[4]" } }),
}
"""

STRUCT_SERVER = """
local pipehost = require "pipehost"
local s = require "structs"
pipehost.server { name = pipehost.config.pipe, mode = pipehost.config.mode, session = function(conn)
  for _ = 1, 2 do
    local bytes = pipehost.config.mode == "byte" and conn:read_exact(s.Ask.size) or conn:receive()
    if not bytes then return end
    local ask = s.Ask:unpack(bytes)
    if not ask then return conn:write "??" end
    conn:write(s.Reply:pack { n = -ask.n, text = ask.kind })
  end
end }
"""


class Connect(cli.Case):
    def connect(self, pipe, text, *options):
        return self.run_pipehost("connect", pipe, *options, text=text if isinstance(text, bytes) else text.encode())

    def says(self, out, pipe, text, *options):
        done = self.connect(pipe, text, *options)
        self.assertEqual((done.status, done.err), (0, ""), done)
        self.assertEqual(done.out, out)


class Messages(Connect):
    def test_a_line_is_a_message(self):
        _, pipe = self.serve(cli.ECHO)
        self.says("eins\nzwei ü", pipe, "eins\nzwei ü\n")
        self.says("\na b\n\nx", pipe, "\na b\n\nx")
        self.says("dos", pipe, "dos\r\n", "--message")

    def test_many(self):
        _, pipe = self.serve(cli.ECHO)
        text = "".join(f"message {i}\n" for i in range(3000))
        self.says(text.rstrip("\n"), pipe, text)
        self.says(text[:2000].rpartition("\n")[0], pipe, text[:2000].rpartition("\n")[0], "--ask")

    def test_hex(self):
        _, pipe = self.serve(cli.ECHO)
        self.says("01 00 ff", pipe, "01 00 ff # a remark\n", "--hex")
        self.says("01 02 03 04\n\n0a", pipe, "# nothing\n0x01, 0x02 0304\n\n0A", "--hex")

    def test_hex_that_is_none(self):
        _, pipe = self.serve(cli.ECHO)
        for text, why in (("01\n0g", "line 2 of the input: 'g' is no hex digit"), ("123", "line 1 .* left over")):
            done = self.connect(pipe, text, "--hex")
            self.assertEqual(done.status, cli.FAILED, done)
            self.assertRegex(done.err, "^pipehost: " + why)

    def test_verbose_shows_both_directions(self):
        _, pipe = self.serve(cli.ECHO)
        done = self.run_pipehost("-v", "connect", pipe, text=b"hi\n")
        self.assertEqual((done.status, done.out), (0, "hi"), done)
        self.assertRegex(done.err, r"> 68 69 +\|hi\|\n< 68 69 +\|hi\|$")

    def test_input_from_a_file_and_from_nothing(self):
        _, pipe = self.serve(cli.ECHO)
        with open(self.write_file("input", "from a file\nand more"), "rb") as file:
            done = self.finish(phtest.PIPEHOST + ["connect", pipe], stdin=file)
        self.assertEqual((done.status, done.out), (0, "from a file\nand more"), done)
        done = self.run_pipehost("connect", pipe, "--timeout", "100")
        self.assertEqual((done.status, done.out), (cli.TIMED_OUT, ""), done)

    def test_shows_what_comes_while_it_waits_for_input(self):
        _, pipe = self.serve(TALKS)
        client = self.start("connect", pipe, stdin=subprocess.PIPE)
        client.wait_for("^welcome$")
        for word in ("one", "two"):
            client.write(word.encode() + b"\n")
            client.wait_for(f"^{word}$")
        client.write(b"in ")
        client.write(b"parts\n")
        client.wait_for("^in parts$")
        client.write(b"bye\n")
        self.assertEqual(client.wait(), 0, client)
        self.assertEqual(client.out, "welcome\none\ntwo\nin parts")
        client.process.stdin.close()

    def test_a_pipe_that_is_read_only_by_its_server(self):
        server, pipe = self.serve(LISTENS)
        self.says("", pipe, "a\nb\n")
        server.wait_for("^got a$")
        server.wait_for("^end$")

    def test_no_replies_are_expected(self):
        _, pipe = self.serve(TALKS)
        done = self.connect(pipe, "quiet\n", "--send-only", "--timeout", "20000")
        self.assertEqual((done.status, done.err), (0, ""), done)


class Bytes(Connect):
    def test_lines(self):
        _, pipe = self.serve(UPPER)
        self.says("A\nB C", pipe, "a\nb c", "--lines")
        self.says("A", pipe, "a\r\nquit\n", "--lines", "--timeout", "20000")

    def test_lines_in_hex(self):
        _, pipe = self.serve(UPPER)
        self.says("41 42", pipe, "61 62\n", "--lines", "--hex")

    def test_bytes_as_they_are(self):
        _, pipe = self.serve(GATHER)
        self.says("7 bytes, a\nb\nc\n.", pipe, "a\nb\nc\n.")
        text = b"x" * 300000 + b"."
        self.says(f"300001 bytes, {text.decode()}", pipe, text)

    def test_bytes_in_hex(self):
        _, pipe = self.serve(GATHER)
        done = self.connect(pipe, "61 62\n2e\n", "--hex")
        self.assertEqual(done.status, 0, done)
        self.assertEqual(bytes.fromhex(done.out), b"3 bytes, ab.")


class Structs(Connect):
    def start_server(self, mode):
        self.path = phtest.native(self.write_file("structs.lua", STRUCTS))
        _, pipe = self.serve(STRUCT_SERVER, "--set", "mode=" + mode)
        return pipe

    def test_both_ways(self):
        for mode in ("message", "byte"):
            with self.subTest(mode):
                pipe = self.start_server(mode)
                self.says(
                    'Reply { n = -7, text = "get" }\nReply { n = -300, text = "put" }', pipe,
                    'Ask { kind = "get", n = 7 }\n kind = "put", n = 300\n',
                    "--struct", self.path, "--send-as", "Ask", "--receive-as", "Reply",
                )

    def test_the_one_that_fits(self):
        pipe = self.start_server("message")
        done = self.connect(pipe, 'Ask kind = "get", n = 0x10\nReply n = 1, text = ""', "--struct", self.path)
        self.assertEqual(done.status, 0, done)
        first, second = done.out.splitlines()
        self.assertEqual(first, 'Reply { n = -16, text = "get" }')
        self.assertRegex(second, r"3f 3f +\|\?\?\| +\(fits no struct\)")

    def test_lines_that_are_none(self):
        pipe = self.start_server("message")
        for line, why in (
            ("n = 1", "which struct. One of Ask, Reply"),
            ("Aks n = 1", "no struct 'Aks' .did you mean 'Ask'"),
            ("Ask n = ", "unexpected"),
            ("Ask n = 1", "field 'kind' is missing"),
            ('Ask kind = "get", m = 1', "'m'.*did you mean 'n'"),
        ):
            with self.subTest(line):
                done = self.connect(pipe, line, "--struct", self.path)
                self.assertEqual((done.status, done.out), (cli.FAILED, ""), done)
                self.assertRegex(done.err, "^pipehost: line 1 of the input: .*" + why)

    def test_files_that_have_none(self):
        _, pipe = self.serve(cli.ECHO)
        for text, why in (("return {}", "no pipehost.struct"), ("x = = 1", "unexpected symbol"), ("error 'no'", "no")):
            path = self.script(text, "none.lua")
            self.fails_only(cli.SCRIPT_ERROR, why, "connect", pipe, "--struct", path)
        path = self.script(STRUCTS, "structs.lua")
        self.fails_only(cli.SCRIPT_ERROR, "has no struct 'Reqly' .did you mean 'Reply'..; it has Ask, Reply",
                        "connect", pipe, "--struct", path, "--receive-as", "Reqly")

    def test_a_byte_pipe_needs_a_size(self):
        pipe = self.start_server("byte")
        self.fails_only(cli.USAGE, "needs --receive-as", "connect", pipe, "--struct", self.path)

    def fails_only(self, status, why, *words):
        done = self.run_pipehost(*words)
        self.assertEqual((done.status, done.out), (status, ""), done)
        self.assertRegex(done.err, "^pipehost: .*" + why)


class Endings(Connect):
    def test_absent(self):
        self.fails(cli.UNAVAILABLE, "there is no such pipe", "connect", self.pipe_name())

    def test_absent_for_too_long(self):
        self.fails(cli.TIMED_OUT, "still absent", "connect", self.pipe_name(), "--timeout", "50")

    def test_waits_for_the_pipe(self):
        pipe = self.pipe_name()
        client = self.start("connect", pipe, "--timeout", "60000", stdin=subprocess.PIPE)
        client.write(b"late\n")
        client.process.stdin.close()
        server = self.start("serve", self.script(cli.ECHO), "--set", "pipe=" + pipe)
        self.assertEqual(client.wait(60), 0, client)
        self.assertEqual(client.out, "late")
        self.assertEqual(server.stop(), 0)

    def test_another_mode(self):
        _, pipe = self.serve(UPPER)
        done = self.connect(pipe, "", "--message")
        self.assertEqual(done.status, cli.FAILED, done)
        self.assertIn("mode", done.err)

    def test_no_reply_in_time(self):
        _, pipe = self.serve(cli.SLOW, "--set", "ms=60000")
        for more in ((), ("--ask",)):
            done = self.connect(pipe, "a\n", "--timeout", "300", *more)
            self.assertEqual(done.status, cli.TIMED_OUT, done)
            self.assertRegex(done.err, "^pipehost: no reply within 300 ms")

    def test_closed_by_the_other_end(self):
        _, pipe = self.serve(TALKS)
        self.says("welcome", pipe, "bye\n")
        done = self.connect(pipe, "bye\nmore\n", "--ask")
        self.assertEqual(done.status, cli.FAILED, done)

    def test_usage(self):
        for words in (("--hex", "--struct", "x"), ("--lines", "--message"), ("--timeout", "x")):
            done = self.run_pipehost("connect", "p", *words)
            self.assertEqual((done.status, done.out), (cli.USAGE, ""), done)

    def test_a_signal(self):
        _, pipe = self.serve(TALKS)
        client = self.start("connect", pipe, stdin=subprocess.PIPE)
        client.wait_for("welcome")
        self.assertEqual(client.stop(), cli.FAILED, client)
        self.assertIn("interrupted", client.err)
        client.process.stdin.close()


if __name__ == "__main__":
    phtest.main()
