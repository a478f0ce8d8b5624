#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# run.py: systems=linux alone timeout=300
"""build.sh: what it refuses, where it takes sources from, what it makes."""

import glob
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import phtest  # noqa: E402

BUILD_SH = os.path.join(phtest.ROOT, "build.sh")

# What Windows itself has; all else would have to be shipped along.
SYSTEM_DLLS = {"kernel32.dll", "msvcrt.dll", "advapi32.dll", "ntdll.dll"}

ONE_LINE = """\
# deb http://comment.example/debian bookworm main
deb http://other.example/apt tools main
deb http://mirror.example/debian-security bookworm-security main
deb [arch=amd64 signed-by=/usr/share/keyrings/x.gpg] http://mirror.example/debian bookworm main contrib # own
deb http://mirror.example/debian bookworm contrib
"""

STANZAS = """\
Types: deb
# a comment in a stanza does not end it
URIs: https://mirror.example/pub/debian/
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/y.gpg

Types: deb
URIs: https://mirror.example/debian
Suites: bookworm-security
Components: main

Enabled: no
Types: deb
URIs: https://off.example/debian
Suites: bookworm
Components: main

Types: deb deb-src
URIs: http://two.example/debian
 http://three.example/debian
Suites: trixie
Components: main non-free
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 -----END PGP PUBLIC KEY BLOCK-----
"""


class Build(phtest.TestCase):
    def build(self, *arguments, **variables):
        command = [BUILD_SH, *arguments]
        return self.finish(command, seconds=200, env=dict(self.env, **variables))

    def lua_copy(self, name, old, new):
        """A folder of Lua's sources with old changed to new in one file."""
        found = glob.glob(os.path.join(phtest.ROOT, ".deps", "lua-*", "lcode.c"))
        if not found:
            self.skipTest("LUA_SRC was given: there is no .deps/lua-*")
        folder = os.path.join(self.folder, "lua")
        shutil.copytree(os.path.dirname(found[0]), folder)
        path = os.path.join(folder, name)
        with open(path, encoding="utf-8") as file:
            text = file.read()
        self.assertIn(old, text)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.replace(old, new))
        return folder

    def test_lua_without_the_correction_is_refused(self):
        folder = self.lua_copy(
            "lcode.c", "if (e->k == VJMP || hasjumps(e))\n", "if (hasjumps(e))\n"
        )
        done = self.build("build", LUA_SRC=folder)
        self.assertEqual(done.status, 1, done)
        self.assertIn("upvalue[a < b]", done.err)
        self.assertIn("if (e->k == VJMP || hasjumps(e))", done.err)

    def test_older_lua_is_refused(self):
        folder = self.lua_copy("lua.h", 'LUA_VERSION_RELEASE\t"7"', 'LUA_VERSION_RELEASE\t"6"')
        done = self.build("build", LUA_SRC=folder)
        self.assertEqual(done.status, 1, done)
        self.assertIn("this is Lua 5.4.6; pipehost needs 5.4.7", done.err)

    def test_folder_without_lua_is_refused(self):
        done = self.build("build", LUA_SRC=self.folder)
        self.assertEqual(done.status, 1, done)
        self.assertIn("there is no lua.h", done.err)

    def test_second_build_does_nothing(self):
        self.assertEqual(self.build("build").status, 0)
        before = self.products()
        self.assertTrue(before)
        done = self.build("build")
        self.assertEqual((done.status, done.out, done.err), (0, "", ""))
        self.assertEqual(self.products(), before)

    def products(self):
        """Times of all that compiler and linker have made."""
        times = {}
        for folder, _, names in os.walk(os.path.join(phtest.ROOT, "build", "linux")):
            for name in names:
                if name.endswith((".o", ".a")) or name == "pipehost":
                    path = os.path.join(folder, name)
                    times[path] = os.stat(path).st_mtime_ns
        return times

    def test_unknown_verb(self):
        done = self.build("bild")
        self.assertEqual(done.status, 2, done)
        self.assertEqual(done.out, "")
        self.assertIn("bild: no such verb", done.err)

    def test_verbs_are_printed(self):
        for arguments in ((), ("--help",), ("-h",)):
            done = self.build(*arguments)
            self.assertEqual(done.status, 0, done)
            for verb in ("demo", "test", "build", "windows", "bench", "deps", "clean"):
                self.assertRegex(done.out, rf"(?m)^  {verb} ")

    def debian_entries(self, one_line, stanzas):
        """What build.sh makes of such apt sources."""
        conf = self.write_file(
            "apt.conf",
            f'Dir::Etc::sourcelist "{self.folder}/sources.list";\n'
            f'Dir::Etc::sourceparts "{self.folder}/sources.list.d";\n',
        )
        self.write_file("sources.list", one_line)
        self.write_file("sources.list.d/debian.sources", stanzas)
        done = self.finish(
            ["bash", "-c", '. "$1"; debian_entries', "bash", BUILD_SH],
            env=dict(self.env, APT_CONFIG=conf),
        )
        self.assertEqual(done.status, 0, done)
        return done.out.splitlines()

    def test_entries_in_one_line_form(self):
        self.assertEqual(
            self.debian_entries(ONE_LINE, ""),
            [
                "deb-src [signed-by=/usr/share/keyrings/x.gpg] "
                "http://mirror.example/debian trixie main"
            ],
        )

    def test_entries_in_stanzas(self):
        self.assertEqual(
            self.debian_entries("", STANZAS),
            [
                "deb-src [signed-by=/usr/share/keyrings/y.gpg] "
                "https://mirror.example/pub/debian/ trixie main",
                "deb-src http://two.example/debian trixie main",
                "deb-src http://three.example/debian trixie main",
            ],
        )


class WindowsProgram(phtest.TestCase):
    def setUp(self):
        super().setUp()
        self.program = os.path.join(phtest.ROOT, "build/windows/pipehost.exe")
        if not os.path.exists(self.program):
            self.skipTest("build/windows/pipehost.exe has not been built in this run")

    def test_only_system_dlls_are_imported(self):
        table = subprocess.run(
            ["x86_64-w64-mingw32-objdump", "-p", self.program],
            stdout=subprocess.PIPE,
            check=True,
        ).stdout.decode()
        imported = {name.lower() for name in re.findall(r"DLL Name: (\S+)", table)}
        self.assertIn("kernel32.dll", imported)
        self.assertLessEqual(imported, SYSTEM_DLLS)

    def test_code_page_is_in_the_manifest(self):
        with open(self.program, "rb") as file:
            self.assertRegex(file.read(), rb"<activeCodePage[^>]*>UTF-8</activeCodePage>")


if __name__ == "__main__":
    phtest.main()
