# SPDX-License-Identifier: MIT
"""The sessions of docs/testing.md for Linux: a Python server, from nothing to
green."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import document  # noqa: E402
import phtest  # noqa: E402


class Testing(document.Case):
    def test_the_sessions(self):
        self.assertEqual(self.play("docs/testing.md", "linux"), 12)


if __name__ == "__main__":
    phtest.main()
