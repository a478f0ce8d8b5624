# SPDX-License-Identifier: MIT
"""The sessions of docs/testing.md for Windows: the Win32 C program."""

import os
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import document  # noqa: E402
import phtest  # noqa: E402


class Testing(document.Case):
    def test_the_sessions(self):
        program = phtest.program("interop/serverinfo_server_win32")[-1]
        shutil.copy(program, os.path.join(self.folder, "ServerInfo.exe"))
        self.assertEqual(self.play("docs/testing.md", "windows"), 2)


if __name__ == "__main__":
    phtest.main()
