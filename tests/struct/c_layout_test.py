#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""pipehost.struct with "!8" lies in memory as the C compiler's structs do: both
print sizes, offsets, bytes, and what each reads from the bytes of the other."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import phtest  # noqa: E402

SCRIPT = os.path.join(phtest.ROOT, "tests", "struct", "c_layout.lua")
STRUCTS = ["mixed", "native", "nested", "packed", "packed4", "small", "tails", "text"]


def lines_of(output, kind):
    """The lines of that kind, sorted: Lua's tables have no order."""
    rows = [line.split() for line in output.splitlines()]
    return sorted(row[1:] for row in rows if row and row[0] == kind)


class Layout(phtest.TestCase):
    def c_program(self, text=""):
        done = self.finish(phtest.program("interop/struct_layout"), text=text.encode())
        self.assertEqual(done.status, 0, done)
        return done.out

    def script(self, c_bytes):
        path = self.write_file("bytes.txt", c_bytes)
        done = self.run_pipehost("run", phtest.native(SCRIPT), phtest.native(path))
        self.assertEqual(done.status, 0, done)
        return done.out

    def test_same_as_in_c(self):
        of_c = self.c_program()
        rows = lines_of(of_c, "bytes")
        self.assertEqual([name for name, _ in rows], STRUCTS)
        of_lua = self.script("".join(f"{name} {digits}\n" for name, digits in rows))
        for kind, least in (("size", 9), ("field", 50), ("bytes", 8), ("value", 50)):
            with self.subTest(kind):
                expected = lines_of(of_c, kind)
                self.assertGreaterEqual(len(expected), least)
                self.assertEqual(lines_of(of_lua, kind), expected)

    def test_c_reads_what_lua_packs(self):
        of_c = self.c_program()
        own = "".join(f"{name} {digits}\n" for name, digits in lines_of(of_c, "bytes"))
        packed = lines_of(self.script(own), "bytes")
        read = self.c_program("".join(f"{name} {digits}\n" for name, digits in packed))
        self.assertEqual(lines_of(read, "value"), lines_of(of_c, "value"))

    def test_both_read_any_bytes_alike(self):
        # No NULs in the texts, no halves of surrogates, no NaN: 01 02 … 7f.
        sizes = {row[0]: int(row[1]) for row in lines_of(self.c_program(), "size")}
        any_bytes = "".join(
            f"{name} {bytes(1 + i % 127 for i in range(sizes[name])).hex()}\n" for name in STRUCTS
        )
        of_c, of_lua = self.c_program(any_bytes), self.script(any_bytes)
        self.assertEqual(lines_of(of_lua, "value"), lines_of(of_c, "value"))


if __name__ == "__main__":
    phtest.main()
