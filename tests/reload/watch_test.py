#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# run.py: timeout=300
"""serve --watch: each way in which a file is saved, and what is not to be
loaded."""

import os
import shutil
import signal
import time
import unittest

import reload
from reload import ANSWERS, phtest

BROKEN = "local x = = 1\n"
USES = """
local pipehost = require "pipehost"
local words = require "words"
pipehost.server {
  name = pipehost.config.pipe,
  on_message = function(conn) return words .. " " .. conn.generation end,
}
"""
DATA = """
local pipehost = require "pipehost"
local words = pipehost.readfile "data/words.txt" or "none"
pipehost.server {
  name = pipehost.config.pipe,
  on_message = function(conn) return words .. " " .. conn.generation end,
}
"""
on_linux = unittest.skipIf(phtest.WINDOWS, "Wine shows symbolic links of Linux as files")


class Watch(reload.Case):
    """The same with --watch alone and, below, with --poll-ms."""

    options = ("--watch",)

    def watch(self, text=ANSWERS % "v1", *options, **more):
        return self.serve(text, *self.options, *options, **more)

    def becomes(self, generation):
        """That generation is active, and no other follows."""
        self.server.wait_for(rf"server\.lua: generation {generation} \(changed: ", 30)

    def fails_once(self, pattern):
        """It is reported, and not again for the same content."""
        self.server.wait_for(r"reload failed.*" + pattern, 30)

    # ---- How it is saved

    def test_written_in_place(self):
        self.watch()
        self.save("server.lua", ANSWERS % "v2")
        self.becomes(2)
        self.answers("^v2 2 ")

    def test_renamed_over(self):
        self.watch()
        self.replace("server.lua", ANSWERS % "v2")
        self.becomes(2)
        self.replace("server.lua", ANSWERS % "v3")
        self.becomes(3)
        self.answers("^v3 3 ")

    def test_deleted_and_made_again(self):
        self.watch()
        os.remove(self.path("server.lua"))
        self.fails_once("there is no such script")
        self.answers("^v1 1 ")
        self.save("server.lua", ANSWERS % "v2")
        self.becomes(2)

    def test_folder_deleted_and_made_again(self):
        self.save("f/server.lua", ANSWERS % "v1")
        self.watch(None, name="f/server.lua")
        for number in (2, 3):
            shutil.rmtree(self.path("f"))
            self.fails_once("there is no such script")
            self.save("f/server.lua", ANSWERS % f"v{number}")
            self.becomes(number)
            self.answers(f"^v{number} {number} ")

    def test_folder_renamed_into_place(self):
        self.save("f/server.lua", ANSWERS % "v1")
        self.watch(None, name="f/server.lua")
        for number in (2, 3):
            self.save("new/server.lua", ANSWERS % f"v{number}")
            try:
                os.rename(self.path("f"), self.path(f"old{number}"))
            except OSError as error:
                self.skipTest(f"a watched folder is not renamed here: {error}")
            os.rename(self.path("new"), self.path("f"))
            self.becomes(number)
            self.answers(f"^v{number} {number} ")

    @on_linux
    def test_link_swapped(self):
        self.save("one/words.lua", "return 'one'")
        self.save("two/words.lua", "return 'two'")
        self.save("three/words.lua", "return 'three'")
        os.symlink("one", self.path("current"))
        os.symlink("current/words.lua", self.path("words.lua"))
        self.watch(USES)
        self.answers("^one 1$")
        os.symlink("two", self.path("next"))
        os.replace(self.path("next"), self.path("current"))
        self.becomes(2)
        self.answers("^two 2$")
        os.remove(self.path("current"))
        os.symlink(self.path("three"), self.path("current"))
        self.becomes(3)
        self.save("three/words.lua", "return 'four'")
        self.becomes(4)
        self.answers("^four 4$")

    # ---- What is not to be loaded, or not again

    def test_broken_saves(self):
        self.watch()
        for number, text in enumerate((BROKEN, "nonsense(", "error 'no'", BROKEN + "\n"), 1):
            self.save("server.lua", text)
            self.fails_once("server.lua:1: ")
            self.assertEqual(self.ctl_json("status")["scripts"][0]["failures"], number)
        self.answers("^v1 1 ")
        self.save("server.lua", ANSWERS % "v2")
        self.becomes(2)

    def test_same_broken_content_is_reported_once(self):
        self.watch()
        self.save("server.lua", BROKEN)
        self.fails_once("server.lua:1: ")
        for _ in range(3):
            self.save("server.lua", BROKEN)
            time.sleep(0.3)
        os.utime(self.path("server.lua"))
        self.save("server.lua", ANSWERS % "v2")
        self.becomes(2)
        self.assertEqual(self.server.err.count("reload failed"), 1, self.server)

    def test_back_to_what_is_active(self):
        self.watch()
        self.save("server.lua", BROKEN)
        self.fails_once("server.lua:1: ")
        self.save("server.lua", ANSWERS % "v1")
        phtest.eventually(
            lambda: "last_error" not in self.ctl_json("status")["scripts"][0], what="no error"
        )
        self.assertEqual(self.generation(), 1)

    def test_after_a_rollback_the_files_wait_for_a_change(self):
        self.watch()
        self.save("server.lua", ANSWERS % "v2")
        self.becomes(2)
        self.assertIn("generation 3 (a rollback to 1)", self.ctl("rollback").out)
        self.answers("^v1 3 ")
        self.save("notes.txt", "nothing of the script's")
        time.sleep(0.6)
        self.answers("^v1 3 ")
        self.save("server.lua", ANSWERS % "v4")
        self.becomes(4)

    def write_slowly(self, text, pause):
        """In three writes, a valid script after each."""
        parts = (text, "\n-- more\n", "\n-- and more\n")
        with open(self.path("server.lua"), "w") as file:
            for part in parts:
                time.sleep(pause)
                file.write(part)
                file.flush()

    def test_half_written(self):
        self.watch()
        # Without the system's word on who writes, only the pause tells.
        known = self.options == ("--watch",) and not phtest.WINDOWS
        self.write_slowly(ANSWERS % "v2", 0.35 if known else 0.02)
        self.becomes(2)
        self.save("server.lua", ANSWERS % "v3")
        self.becomes(3)
        self.assertNotIn("reload failed", self.server.err)

    def test_emptied(self):
        """An editor that empties the file first is waited for."""
        self.watch()
        self.save("server.lua", "")
        time.sleep(0.3)
        self.save("server.lua", ANSWERS % "v2")
        self.becomes(2)
        self.assertNotIn("reload failed", self.server.err)
        self.save("server.lua", "")
        self.fails_once("declares no pipehost.server")

    def test_storm_of_saves(self):
        self.watch()
        end = time.monotonic() + 1
        for i in range(500):
            text = ANSWERS % f"s{i}"
            if i % 2:
                self.replace("server.lua", text)
            else:
                self.save("server.lua", text)
            time.sleep(max(0, (end - time.monotonic()) / (500 - i)))
        puppet = self.puppet()

        def last_is_active():
            puppet.open("a", self.pipe)
            reply = puppet.ask("a", "?")
            puppet.do("close", "a")
            return reply.startswith("s499 ")

        phtest.eventually(last_is_active, 30, "the last save")
        active = self.generation()
        time.sleep(0.5)
        self.assertEqual(self.generation(), active, "it was loaded again")
        # A look in the middle of it all may have come upon one or the other.
        self.assertLess(active, 8)
        self.save("server.lua", ANSWERS % "last")
        self.becomes(active + 1)

    # ---- Dependencies

    def test_module(self):
        self.save("words.lua", "return 'one'")
        self.watch(USES)
        self.save("words.lua", "return 'two'")
        self.becomes(2)
        self.answers("^two 2$")

    def test_module_that_comes_before_another(self):
        """It was looked for in vain in the script's folder."""
        self.save("lib/words.lua", "return 'lib'")
        self.watch(USES, "--path", phtest.native(self.path("lib")))
        self.answers("^lib 1$")
        self.save("words.lua", "return 'own'")
        self.becomes(2)
        self.answers("^own 2$")
        os.remove(self.path("words.lua"))
        self.becomes(3)
        self.answers("^lib 3$")

    def test_module_in_a_folder_that_is_not_there_yet(self):
        self.watch('pcall(require, "deep.down.words")\n' + ANSWERS % "v1")
        self.save("deep/down/words.lua", "return 1")
        self.becomes(2)

    def test_data_file(self):
        self.watch(DATA)
        self.answers("^none 1$")
        self.save("data/words.txt", "some")
        self.becomes(2)
        self.answers("^some 2$")
        self.save("data/words.txt", "others")
        self.becomes(3)
        self.answers("^others 3$")

    def test_files_that_a_handler_reads(self):
        """They are known from then on."""
        self.watch("""
local pipehost = require "pipehost"
pipehost.server {
  name = pipehost.config.pipe,
  on_message = function(conn, message)
    return conn.generation .. " " .. require(message) .. pipehost.readfile("late/data.txt")
  end,
}
""")
        self.save("late/code.lua", "return 'one'")
        self.save("late/data.txt", "1")
        puppet = self.puppet()
        puppet.open("a", self.pipe)
        self.assertEqual(puppet.ask("a", "late.code"), "1 one1")
        time.sleep(0.3)
        self.save("late/code.lua", "return 'two'")
        self.becomes(2)
        self.assertEqual(puppet.ask("a", "late.code"), "2 two1")
        time.sleep(0.3)
        self.save("late/data.txt", "2")
        self.becomes(3)
        self.assertEqual(puppet.ask("a", "late.code"), "3 two2")

    def test_two_scripts_with_a_module_of_one_name(self):
        for which in "ab":
            self.save(f"{which}/words.lua", f"return '{which}1'")
            self.save(f"{which}/{which}_server.lua", USES.replace("config.pipe", f"config.pipe .. '{which}'"))
        self.server = self.start(
            "serve", phtest.native(self.path("a/a_server.lua")), phtest.native(self.path("b/b_server.lua")),
            "--set", "pipe=" + self.pipe, "--control", self.control, *self.options,
        )
        self.addCleanup(self.stop_server)
        self.server.wait_for("serving 2 scripts")
        puppet = self.puppet()
        puppet.open("a", self.pipe + "a")
        puppet.open("b", self.pipe + "b")
        self.save("a/words.lua", "return = 1")
        self.fails_once(r"a.words\.lua:1: ")
        self.save("b/words.lua", "return 'b2'")
        self.server.wait_for(r"b_server\.lua: generation 2 \(changed: .*words\.lua\)", 30)
        self.assertEqual(puppet.ask("b", "?"), "b2 2")
        self.assertEqual(puppet.ask("a", "?"), "a1 1")
        self.save("a/words.lua", "return 'a2'")
        self.server.wait_for(r"a_server\.lua: generation 2 \(changed: .*words\.lua\)", 30)
        self.assertEqual(puppet.ask("a", "?"), "a2 2")
        self.assertEqual(puppet.ask("b", "?"), "b2 2")

    def test_endless_load_hinders_nobody(self):
        """Neither the other script nor the clients."""
        self.save("f/a_server.lua", ANSWERS.replace("config.pipe", "config.pipe .. 'a'") % "a1")
        self.save("f/b_server.lua", ANSWERS.replace("config.pipe", "config.pipe .. 'b'") % "b1")
        self.watch(None, name="f")
        puppet = self.puppet()
        puppet.open("b", self.pipe + "b")
        self.save("f/a_server.lua", "while true do end")
        time.sleep(0.3)
        for i in range(50):
            self.assertEqual(puppet.ask("b", str(i)), f"b1 1 {i}")
        self.save("f/b_server.lua", ANSWERS.replace("config.pipe", "config.pipe .. 'b'") % "b2")
        self.server.wait_for(r"b_server\.lua: generation 2", 30)
        self.fails_once(r"a_server\.lua:1: budget: ")
        self.assertEqual(puppet.ask("b", "?"), "b2 2 ?")

    # ---- Folders

    def one(self, which, text="v1"):
        return ANSWERS.replace("config.pipe", f"config.pipe .. '{which}'") % (which + text)

    def test_files_that_appear_and_go(self):
        self.save("f/server.lua", self.one("a"))
        self.watch(None, name="f")
        self.save("f/sub/b_server.lua", self.one("b"))
        self.server.wait_for(r"b_server\.lua: generation 1", 30)
        self.save("f/c_server.lua", BROKEN)
        self.server.wait_for(r"c_server\.lua: not started: .*c_server\.lua:1: ", 30)
        self.save("f/c_server.lua", self.one("c"))
        self.server.wait_for(r"c_server\.lua: generation 1", 30)
        puppet = self.puppet()
        for which in "abc":
            puppet.open(which, self.pipe + which)
            self.assertEqual(puppet.ask(which, "?"), f"{which}v1 1 ?")
        self.save("f/sub/b_server.lua", self.one("b", "v2"))
        self.server.wait_for(r"b_server\.lua: generation 2", 30)
        self.assertEqual(puppet.ask("b", "?"), "bv2 2 ?")
        shutil.rmtree(self.path("f/sub"))
        self.server.wait_for(r"b_server\.lua: is gone, and stops", 30)
        phtest.eventually(lambda: puppet.do("open", "new", self.pipe + "b") is not True, 40)
        self.assertEqual(puppet.do("ask", "b", "?")[0], "closed")
        self.assertEqual(puppet.ask("a", "?"), "av1 1 ?")
        names = [s["script"].replace("\\", "/").rsplit("/", 1)[1] for s in self.ctl_json("status")["scripts"]]
        self.assertEqual(names, ["server.lua", "c_server.lua"])

    def test_file_replaced_in_a_folder_is_not_stopped(self):
        self.save("f/server.lua", self.one("a"))
        self.watch(None, name="f")
        os.remove(self.path("f/server.lua"))
        time.sleep(0.4)
        self.save("f/server.lua", self.one("a", "v2"))
        self.becomes(2)
        self.assertNotIn("is gone", self.server.err)


class Poll(Watch):
    options = ("--watch", "--poll-ms", "50")


@unittest.skipIf(phtest.WINDOWS, "Wine's own queue does not overflow")
class Overflow(reload.Case):
    def test_events_that_are_lost(self):
        """More than the kernel keeps, while the program cannot take them."""
        self.serve(ANSWERS % "v1", "--watch")
        with open("/proc/sys/fs/inotify/max_queued_events") as file:
            most = int(file.read())
        if most > 100000:
            self.skipTest(f"the system keeps {most} events")
        self.server.signal(signal.SIGSTOP)
        for i in range(most // 4 + 100):
            path = self.path(f"noise-{i % 7}")
            open(path, "w").close()
            os.remove(path)
        self.save("server.lua", ANSWERS % "v2")
        self.server.signal(signal.SIGCONT)
        self.server.wait_for(r"server\.lua: generation 2 \(changed: ", 30)


class Usage(reload.Case):
    def test_poll_without_watch(self):
        path = self.save("server.lua", ANSWERS % "v1")
        done = self.run_pipehost("serve", path, "--poll-ms", "100")
        self.assertEqual(done.status, reload.USAGE, done)
        self.assertRegex(done.err, "--poll-ms .*--watch")


if __name__ == "__main__":
    phtest.main()
