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
import unittest

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

    def test_second_windows_build_does_nothing(self):
        program = os.path.join(phtest.ROOT, "build/windows/pipehost.exe")
        if not os.path.exists(program):
            self.skipTest("build/windows/pipehost.exe has not been built in this run")
        self.assertEqual(self.build("windows").status, 0)
        before = os.stat(program).st_mtime_ns
        done = self.build("windows")
        self.assertEqual((done.status, done.out, done.err), (0, "", ""))
        self.assertEqual(os.stat(program).st_mtime_ns, before)

    def test_debug_build(self):
        self.assertEqual(self.build("build", "debug").status, 0)
        program = os.path.join(phtest.ROOT, "build/linux/debug/pipehost")
        done = self.finish([program, "--version"])
        self.assertEqual(done.status, 0, done)
        with open(program, "rb") as file:
            text = file.read()
        # The text of an assert, which release builds do not have.
        self.assertIn(b"op->state == PH_OP_PENDING", text)
        with open(os.path.join(phtest.ROOT, "build/linux/pipehost"), "rb") as file:
            self.assertNotIn(b"op->state == PH_OP_PENDING", file.read())

    def test_unknown_configuration(self):
        done = self.build("build", "fast")
        self.assertEqual(done.status, 1, done)
        self.assertIn("fast: the configurations are release, debug, sanitize", done.err)
        done = self.build("windows", "sanitize")
        self.assertEqual(done.status, 1, done)
        self.assertIn("mingw-w64 has no sanitizers", done.err)

    def test_demo(self):
        """Both sides of the exchange, with the bytes, and then the result."""
        done = self.build("demo", TMPDIR=self.folder)
        self.assertEqual(done.status, 0, done)
        lines = done.out.splitlines()
        self.assertEqual(lines[-1], "iFage = 3")
        sides = {"client | ": [], "server | ": []}
        for line in lines:
            for side, shown in sides.items():
                found = re.search(r"([<>]) ((?:[0-9a-f]{2} ){4}) ", line)
                if found and line.startswith(side):
                    shown.append(found.group(1) + " " + found.group(2).strip())
        ask, answer, end = "01 00 00 00", "03 00 00 00", "02 00 00 00"
        self.assertEqual(sides["client | "], ["> " + ask, "< " + answer, "> " + end])
        self.assertEqual(sides["server | "], ["< " + ask, "> " + answer, "< " + end])
        self.assertEqual(os.listdir(self.folder), ["pipes"])

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


# Knows the packages that $HAVE names, and writes down what apt-get is asked.
DPKG_QUERY = """#!/bin/bash
case " $HAVE " in *" ${!#} "*) echo -n installed ;; *) exit 1 ;; esac
"""
APT_GET = """#!/bin/bash
echo "$*" >>"$LOG"
[[ " $* " != *" install "* ]] || exit "${INSTALL_STATUS:-0}"
"""


class Packages(phtest.TestCase):
    """What is missing is installed by root, and named to others."""

    OTHER = 54321

    def setUp(self):
        super().setUp()
        for name, text in (("dpkg-query", DPKG_QUERY), ("apt-get", APT_GET)):
            os.chmod(self.write_file("bin/" + name, text), 0o755)
        self.log = os.path.join(self.folder, "log")
        path = self.folder + "/bin:" + os.environ["PATH"]
        self.env.update(PATH=path, LOG=self.log, HAVE="gcc make")

    def asked(self):
        if not os.path.exists(self.log):
            return []
        with open(self.log, encoding="utf-8") as file:
            return file.read().splitlines()

    def need(self, *packages, **variables):
        """Calls need_packages, as root."""
        script = 'source "$1"; shift; need_packages "$@"; echo "went on"'
        command = ["bash", "-c", script, "bash", BUILD_SH, *packages]
        return self.finish(command, env=dict(self.env, **variables))

    def not_root(self, command):
        """As another user where this is root, in a copy that is theirs."""
        for folder in (phtest.TMP, self.folder):
            os.chmod(folder, 0o755)
        copy = os.path.join(self.folder, "copy")
        os.mkdir(copy)
        shutil.copy(BUILD_SH, copy)
        shutil.copytree(os.path.join(phtest.ROOT, "tools"), copy + "/tools")
        if not os.geteuid():
            os.chown(copy, self.OTHER, self.OTHER)
            ids = [f"--reuid={self.OTHER}", f"--regid={self.OTHER}", "--clear-groups"]
            command = ["setpriv", *ids, *command]
        return self.finish(command, cwd=copy)

    def test_not_root(self):
        for verb in ("demo", "build", "test", "windows", "deps", "bench"):
            with self.subTest(verb):
                done = self.not_root(["./build.sh", verb])
                self.assertEqual((done.status, done.out), (1, ""), done)
                self.assertRegex(
                    done.err,
                    r"^build\.sh: these packages are missing; as root, run\n"
                    r"    apt-get install --no-install-recommends [a-z0-9 .+-]+$",
                )
                named = done.err.split("recommends ")[1].split()
                self.assertNotIn("gcc", named)
                self.assertNotIn("make", named)
                self.assertTrue(named)
                shutil.rmtree(os.path.join(self.folder, "copy"))
        self.assertEqual(self.asked(), [])

    def test_nothing_is_missing(self):
        done = self.need("gcc", "make")
        self.assertEqual((done.status, done.out), (0, "went on"), done)
        self.assertEqual(self.asked(), [])

    @unittest.skipIf(os.geteuid(), "only root installs packages")
    def test_root(self):
        done = self.need("gcc", "socat", "make", "wine64")
        self.assertEqual((done.status, done.out), (0, "== installing socat wine64\nwent on"), done)
        (asked,) = self.asked()
        self.assertRegex(asked, r"--no-install-recommends .*\binstall socat wine64$")

    @unittest.skipIf(os.geteuid(), "only root installs packages")
    def test_root_and_a_package_that_is_not_to_be_had(self):
        done = self.need("socat", INSTALL_STATUS="100")
        self.assertEqual((done.status, done.out), (1, "== installing socat"), done)
        self.assertIn("build.sh: apt-get install socat failed", done.err)
        self.assertEqual(sum(line.endswith(" update") for line in self.asked()), 3)


class Sources(phtest.TestCase):
    """What is fetched: only with its checksum, and corrected or not used."""

    def call(self, script):
        """With the functions of build.sh, in the test's folder."""
        command = ["bash", "-c", f'source "$1"; cd "$2"\n{script}', "bash", BUILD_SH, self.folder]
        return self.finish(command)

    def test_archive_with_another_checksum(self):
        done = self.call(
            "debian_entries() { echo deb-src http://mirror.example/debian trixie main; }\n"
            "apt_source() { echo bad >lua.tar.gz; }\n"
            "download lua.tar.gz 0123456789 lua=5.4"
        )
        self.assertEqual(done.status, 1, done)
        self.assertIn("lua.tar.gz has not the expected sha256 0123456789", done.err)
        self.assertFalse(os.path.exists(self.folder + "/.deps/lua.tar.gz"))

    def test_archive_that_is_there_is_not_fetched(self):
        self.write_file(".deps/x.tar.gz", "good")
        done = self.call(
            "apt_source() { exit 9; }\n"
            "download x.tar.gz $(echo -n good | sha256sum | cut -d' ' -f1) x && echo kept"
        )
        self.assertEqual((done.status, done.out), (0, "kept"), done)

    def test_lua_without_the_line_to_correct(self):
        self.write_file("lcode.c", "void luaK_exp2val (FuncState *fs, expdesc *e) {\n  other();\n}\n")
        done = self.call("correct_lua lcode.c")
        self.assertEqual(done.status, 1, done)
        self.assertIn("the line of luaK_exp2val that is to be corrected is not there", done.err)


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
