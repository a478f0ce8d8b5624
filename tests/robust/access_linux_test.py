#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Who may serve and who may call: this user alone, in folders of this user."""

import os
import socket
import stat
import sys
import unittest

import common
import phtest

OTHER = 54321
ROOT_ONLY = unittest.skipIf(os.geteuid(), "only root can become another user")

OPEN = 'return require("pipehost").pipe.open(%s, { wait = "no" })'
CALL = """
import socket, sys
peer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
try:
    peer.connect(sys.argv[1])
    peer.send(b"hello")
    print("reply", peer.recv(64))
except OSError as error:
    print(type(error).__name__)
"""


def as_user(uid, command):
    return ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"] + list(command)


class Folder(common.Case):
    def run_create(self, env, uid=0, name='"A"'):
        text = f"""
local pipe = require("pipehost").pipe
local instance, code, info = pipe.create({name}, {{ mode = "message" }})
if not instance then return nil, code, info end
print(instance:info().path)
"""
        command = phtest.PIPEHOST + ["run", self.write_file("create.lua", text)]
        os.chmod(self.folder, 0o755)
        os.chmod(phtest.TMP, 0o755)
        return self.finish(as_user(uid, command) if uid else command, env=env)

    def environment(self, **variables):
        env = dict(self.env, **variables)
        return {key: value for key, value in env.items() if value is not None}

    def mode(self, path):
        return stat.S_IMODE(os.stat(path).st_mode)

    def test_modes(self):
        env = self.environment(PIPEHOST_DIR=None, XDG_RUNTIME_DIR=self.folder)
        script = self.write_file("server.lua", common.ECHO)
        old = os.umask(0)
        try:
            server = self.start("serve", script, env=env)
        finally:
            os.umask(old)
        server.wait_for("serving")
        folder = os.path.join(self.folder, "pipehost")
        self.assertEqual(self.mode(folder), 0o700)
        for name in os.listdir(folder):
            self.assertEqual(self.mode(os.path.join(folder, name)), 0o600, name)
        self.assertEqual(server.stop(), 0, server)
        self.assertEqual(os.listdir(folder), [])

    def refused(self, env, pattern, uid=0):
        done = self.run_create(env, uid)
        self.assertEqual(done.status, 1, done)
        self.assertRegex(done.err, "denied")
        self.assertRegex(done.err, pattern)

    def test_pipehost_dir_that_is_no_folder(self):
        for value in ("relative/path", self.folder + "/nothing", self.write_file("file", "")):
            with self.subTest(value):
                self.refused(self.environment(PIPEHOST_DIR=value), "PIPEHOST_DIR")

    def test_pipehost_dir_that_others_can_write(self):
        for mode in (0o770, 0o707, 0o1777):
            with self.subTest(oct(mode)):
                os.chmod(self.pipes, mode)
                self.refused(self.env, "PIPEHOST_DIR can be written by others")

    def test_pipehost_dir_that_others_can_read(self):
        os.chmod(self.pipes, 0o755)
        done = self.run_create(self.env)
        self.assertEqual((done.status, done.out), (0, self.path("A")), done)

    @ROOT_ONLY
    def test_pipehost_dir_of_another(self):
        os.chown(self.pipes, OTHER, OTHER)
        self.refused(self.env, "PIPEHOST_DIR belongs to another")

    @ROOT_ONLY
    def test_pipehost_dir_of_root_is_trusted_but_not_writable(self):
        os.chmod(self.pipes, 0o755)
        self.refused(self.env, "denied", uid=OTHER)

    @ROOT_ONLY
    def test_serve_without_permission(self):
        os.chmod(self.folder, 0o755)
        os.chmod(phtest.TMP, 0o755)
        os.chmod(self.pipes, 0o755)
        script = self.write_file("server.lua", common.ECHO)
        done = self.finish(as_user(OTHER, phtest.PIPEHOST + ["serve", script]))
        self.assertEqual((done.status, done.out), (69, ""), done)
        # One line, and below it the one of the script.
        self.assertRegex(
            done.err, r"\Apipehost: [^\n]*server\.lua:3: [^\n]*Echo[^\n]*denied[^\n]*\n +3 \| [^\n]*\Z")

    def candidates(self, runtime):
        return self.environment(PIPEHOST_DIR=None, XDG_RUNTIME_DIR=runtime)

    def test_runtime_dir(self):
        done = self.run_create(self.candidates(self.folder))
        self.assertEqual((done.status, done.out), (0, self.folder + "/pipehost/a"), done)

    @ROOT_ONLY
    def test_folder_of_another_is_skipped(self):
        """One by one the candidates are taken away."""
        runtime = os.path.join(self.folder, "runtime")
        os.mkdir(runtime, 0o700)
        os.chown(runtime, OTHER, OTHER)
        last = f"/tmp/pipehost-{OTHER}"
        self.addCleanup(lambda: os.path.isdir(last) and os.rmdir(last))
        env = self.candidates(runtime)
        done = self.run_create(env, uid=OTHER)
        self.assertEqual((done.status, done.out), (0, runtime + "/pipehost/a"), done)
        os.chown(runtime + "/pipehost", 0, 0)
        done = self.run_create(env, uid=OTHER)
        self.assertEqual((done.status, done.out), (0, last + "/a"), done)
        os.chown(last, 0, 0)
        self.refused(env, "open to others|another user", uid=OTHER)

    def test_folder_that_is_open_to_others_is_skipped(self):
        runtime = os.path.join(self.folder, "runtime")
        os.makedirs(runtime + "/pipehost", 0o755)
        os.chmod(runtime + "/pipehost", 0o755)
        done = self.run_create(self.candidates(runtime))
        self.assertEqual(done.status, 0, done)
        self.assertNotIn(runtime, done.out)

    def test_folder_that_is_a_link_is_skipped(self):
        runtime = os.path.join(self.folder, "runtime")
        os.makedirs(runtime, 0o700)
        os.symlink(self.pipes, runtime + "/pipehost")
        done = self.run_create(self.candidates(runtime))
        self.assertEqual(done.status, 0, done)
        self.assertNotIn(runtime, done.out)

    def test_path_that_is_too_long(self):
        deep = os.path.join(self.folder, "d" * 90)
        os.mkdir(deep, 0o700)
        done = self.run_create(self.environment(PIPEHOST_DIR=deep))
        self.assertNotEqual(done.status, 0, done)
        self.assertRegex(done.err, "107 bytes")
        self.assertEqual(os.listdir(deep), [])

    def test_absolute_path(self):
        path = os.path.join(self.folder, "Own.sock")
        done = self.run_create(self.env, name=f'"{path}"')
        self.assertEqual((done.status, done.out), (0, path), done)


@ROOT_ONLY
class Strangers(common.Case):
    def setUp(self):
        super().setUp()
        for folder in (phtest.TMP, self.folder, self.pipes):
            os.chmod(folder, 0o755)

    def call(self, uid, path=None):
        command = as_user(uid, [sys.executable, "-c", CALL, path or self.path("Echo")])
        return self.finish(command).out

    def test_client_of_another_user(self):
        self.serve()
        self.assertEqual(self.call(OTHER), "PermissionError")
        self.echo()

    def test_client_of_another_user_past_the_mode(self):
        server = self.serve()
        os.chmod(self.path("Echo"), 0o666)
        self.assertNotIn("reply", self.call(OTHER))
        server.wait_for(f"client of uid {OTHER} was refused")
        self.echo()

    def test_client_of_root(self):
        os.chown(self.pipes, OTHER, OTHER)
        script = self.write_file("server.lua", common.ECHO)
        command = as_user(OTHER, phtest.PIPEHOST + ["serve", script])
        server = self.spawn(command)
        server.wait_for("serving")
        self.echo()
        self.assertEqual(server.stop(), 0, server)

    def served_to(self, access):
        text = common.ECHO.replace('name = "Echo",', f'name = "Echo", access = {access},')
        return self.serve(text)

    def test_access_for_users(self):
        self.served_to('"users"')
        self.assertEqual(self.call(OTHER), "reply b'hello'")

    def test_access_for_some(self):
        server = self.served_to(f"{{ {OTHER} }}")
        self.assertEqual(self.call(OTHER), "reply b'hello'")
        self.assertNotIn("reply", self.call(OTHER + 1))
        server.wait_for(f"client of uid {OTHER + 1} was refused")

    def test_server_of_another_user(self):
        path = os.path.join(self.folder, "foreign")
        os.chown(self.folder, OTHER, OTHER)
        peer = self.spawn(
            as_user(OTHER, [sys.executable, "-c", common.PEER, "SOCK_SEQPACKET", "server", path, ""])
        )
        peer.wait_for("ready")
        script = self.write_file("open.lua", OPEN.replace('"no" }', '"no", peer = "user" }') % "...")
        done = self.run_pipehost("run", script, path)
        self.assertEqual(done.status, 1, done)
        self.assertRegex(done.err, "denied")

    def test_plain_name_served_by_another_user(self):
        """It could be put there only by somebody who may write the folder."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.addCleanup(listener.close)
        listener.bind(self.path("Peer"))
        listen = f"import os, socket; os.setuid({OTHER}); socket.socket(fileno=0).listen(8)"
        done = self.finish([sys.executable, "-c", listen], stdin=listener)
        self.assertEqual(done.status, 0, done)
        script = self.write_file("open.lua", OPEN % '"Peer"')
        done = self.run_pipehost("run", script)
        self.assertEqual(done.status, 1, done)
        self.assertRegex(done.err, "denied")


if __name__ == "__main__":
    phtest.main()
