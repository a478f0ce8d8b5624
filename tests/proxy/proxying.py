# SPDX-License-Identifier: MIT
"""What the tests of the proxy share: the servers and clients are those of the tests
of recordings."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "record"))
import recording  # noqa: E402


class Case(recording.Case):
    def proxy(self, target, *options, listen=None):
        """A proxy and the pipe that clients are to open."""
        listen = listen or self.pipe_name()
        process = self.start("proxy", listen, target, *options)
        process.wait_for("passing on ")
        return process, listen

    def ends(self, proxy, counts, status=recording.OK):
        """It ends by itself, and says on stdout what there was."""
        self.assertEqual(proxy.wait(), status, proxy)
        self.assertRegex(proxy.out, f" -> .*: {counts}$")
