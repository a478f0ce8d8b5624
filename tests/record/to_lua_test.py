#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""pipehost replay --to-lua: the script that it prints passes against who was recorded,
and fails against anybody else."""

import recording
import phtest
from recording import OK, FAILED, SCRIPT_ERROR, line

PROTOCOL = """
local pipehost = require "pipehost"
local Odd = pipehost.struct("<!8", {
  name = "odd", { "kind", "I1", enum = { ask = 1, tell = 2 } }, { "mode", "I2", flags = { a = 1, b = 2 } },
  { "ratio", "d" }, { "big", "i8" }, { "list", "I1", count = 3 }, { "text", "char[12]" }, { "end", "s1" },
})
return { client = Odd, Odd = Odd }
"""


class Generated(recording.Case):
    def to_lua(self, role, *options, name="made.lua"):
        """The path of the script that it makes of a.rec."""
        done = self.run_pipehost("replay", self.path("a.rec"), "--to-lua", "--as", role, *options)
        self.assertEqual(done.status, OK, done)
        return self.script(done.out, name)

    def run_client(self, pipe, *options, status=OK):
        done = self.run_pipehost("run", self.to_lua("client", *options), pipe)
        self.assertEqual(done.status, status, done)
        return done

    def run_server(self, *options):
        pipe = self.pipe_name()
        server = self.start("run", self.to_lua("server", *options), pipe)
        server.wait_for("listening on")
        return server, pipe

    def record(self, words, text=recording.SERVER):
        server, target = self.serve(text)
        recorder, pipe = self.recorder(target, "--connections", "1")
        self.client(pipe, *words)
        self.assertEqual(recorder.wait(), OK, recorder)
        return server, target

    def test_each_end_passes_against_the_other(self):
        words = ["one", "", 'quo"te\\', "Zö\t€", "x" * 300, "a" * 63 + "b" * 100]
        _, target = self.record(words)
        self.run_client(target)
        server, pipe = self.run_server()
        self.assertEqual(self.client(pipe, *words), [f"<{word}>" for word in words])
        self.assertEqual(server.wait(), OK, server)
        server, pipe = self.run_server()
        self.run_client(pipe)
        self.assertEqual(server.wait(), OK, server)

    def test_all_bytes(self):
        every = bytes(range(256))
        rows = "\n     ".join(every[i : i + 16].hex(" ") for i in range(0, 256, 16))
        self.recording("0 1 open", f"1 1 > 256 {rows}", "2 1 close client")
        server, pipe = self.run_server()
        text = """
        local bytes = {}
        for i = 0, 255 do bytes[i + 1] = string.char(i) end
        local conn <close> = assert(require("pipehost").pipe.open((...), { timeout = 20000 }))
        assert(conn:send(table.concat(bytes)))
        """
        self.client(pipe, text=text)
        self.assertEqual(server.wait(), OK, server)

    def test_anybody_else_fails(self):
        self.record(["one", "two"])
        _, other = self.serve(recording.SERVER.replace('"<"', '"["'))
        done = self.run_client(other, status=SCRIPT_ERROR)
        self.assertIn("""expected "<one>", got "[one>" (protocol)""", done.err)
        server, pipe = self.run_server()
        self.client(pipe, "one", "tva")
        self.assertEqual(server.wait(), FAILED, server)
        self.assertIn("""expected "two", got "tva" (protocol)""", server.err)

    def test_byte_pipes(self):
        self.recording(
            "0 1 open", line(1, 1, ">", "hel"), line(1, 1, ">", "lo\n"), line(2, 1, "<", "you said hello\n"),
            "4 1 close client", mode="byte",
        )  # fmt: skip
        _, target = self.serve(recording.BYTE_SERVER)
        self.run_client(target)
        server, pipe = self.run_server()
        self.assertEqual(self.client(pipe, "1", "hello", text=recording.BYTE_CLIENT), ["you said hello"])
        self.assertEqual(server.wait(), OK, server)

    def test_connections_one_after_the_other_and_side_by_side(self):
        # The server of this chat needs both to be there, and then the third alone.
        self.recording(
            "0 1 open", "1 2 open", line(2, 1, ">", "a"), line(3, 2, "<", "a"), line(4, 2, ">", "b"),
            line(5, 1, "<", "b"), "6 1 close client", "7 2 close client",
            "8 3 open", line(9, 3, ">", "alone"), line(9, 3, "<", "yes"), "10 3 close client",
        )  # fmt: skip
        _, target = self.serve(
            """
            local pipehost = require "pipehost"
            pipehost.server {
              name = pipehost.config.pipe,
              on_message = function(conn, message)
                local others
                repeat
                  others = 0
                  for other in conn.server:connections() do
                    if other ~= conn then
                      others = others + 1
                      other:post(message)
                    end
                  end
                  pipehost.pipe.sleep(1)
                until (others > 0) == (message ~= "alone")
                return message == "alone" and "yes" or nil
              end,
            }
            """
        )
        text = self.run_pipehost("replay", self.path("a.rec"), "--to-lua", "--as", "client").out
        self.assertIn("local after = { {  }, {  }, { 1, 2 } }", text)
        self.run_client(target)

    def test_structs_by_name(self):
        protocol = self.script(PROTOCOL, "protocol.lua")
        _, target = self.serve()
        recorder, pipe = self.recorder(target, "--connections", "1")
        text = """
        local Odd = require("protocol").Odd
        local conn <close> = assert(require("pipehost").pipe.open((...), { timeout = 20000 }))
        for _, ratio in ipairs { 0.1, -2, 1e300, 1 / 0, 0 / 0 } do
          local bytes = Odd:pack {
            kind = "tell", mode = { b = true }, ratio = ratio, big = math.mininteger, list = { 1, 2, 3 },
            text = 'quo"te', ["end"] = "",
          }
          assert(conn:send(bytes))
          assert(conn:receive())
        end
        assert(conn:send "another")
        assert(conn:receive())
        """
        self.client(pipe, text=text)
        self.assertEqual(recorder.wait(), OK, recorder)
        options = ["--protocol", protocol]
        made = self.run_pipehost("replay", self.path("a.rec"), "--to-lua", "--as", "client", *options).out
        self.assertIn('local protocol = require "protocol"', made)
        self.assertEqual(made.count("s.send(protocol.Odd, {"), 3)
        self.assertIn("ratio = 0.10000000000000001", made)
        self.assertIn("ratio = -2.0", made)
        self.assertIn("mode = { b = true }", made)
        self.run_client(target, *options)
        server, pipe = self.run_server(*options)
        self.run_client(pipe, *options)
        self.assertEqual(server.wait(), OK, server)


if __name__ == "__main__":
    phtest.main()
