#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The ServerInfo exchange of two programs on the Win32 API alone, through the
proxy."""

import proxying
import phtest

WAIT = ["--wait", "15000"]


def full(name):
    return "\\\\.\\pipe\\" + name


class Exchange(proxying.Case):
    def test_both_ends_notice_nothing(self):
        target = self.pipe_name()
        server = self.spawn(phtest.program("interop/serverinfo_server_win32") + [full(target), "3"])
        server.wait_for("^listening$")
        proxy, pipe = self.proxy(target, "--connections", "3")
        for times in (1, 2, 3):
            command = phtest.program("interop/serverinfo_client_win32") + WAIT + [full(pipe), str(times)]
            done = self.finish(command)
            self.assertEqual(done.status, 0, (done, proxy))
            self.assertEqual(done.out.splitlines(), ["iFage = 3"] * times)
        self.assertEqual(server.wait(), 0, server)
        self.assertEqual(server.out.splitlines().count("end"), 3)
        self.ends(proxy, "3 connections, 15 messages")


if __name__ == "__main__":
    phtest.main()
