# SPDX-License-Identifier: MIT
# run.py: systems=linux timeout=240
"""The n-th allocation of the host itself fails, outside of the scripts' own
allocator: in a handler's calls and in a load. The real program runs with
failing_linux.c before the C library. Each client gets its reply or its end,
later ones are served, and at the end as many blocks are left as without.

NOMEM_STEP=1 in the environment tries each allocation; NOMEM_FIRST says where to
begin. The sanitizer is an allocator of its own, which leaves no room for this
one. The code is the same on Windows, where nothing can be put before it."""

import os
import re
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import phtest  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
STEP = os.environ.get("NOMEM_STEP")
PLAN = struct.Struct("<qqq")


class NomemHost(phtest.TestCase):
    def setUp(self):
        super().setUp()
        self.name = self.pipe_name()
        self.plan = os.path.join(phtest.TMP, f"plan-{os.getpid()}")
        library = os.path.join(phtest.TMP, f"failing-{os.getpid()}.so")
        source = os.path.join(HERE, "failing_linux.c")
        subprocess.run(
            ["gcc", "-shared", "-fPIC", "-O2", "-fno-builtin", "-o", library, source], check=True
        )
        self.preload = {"LD_PRELOAD": library, "FAILING_FILE": self.plan}

    def sweep(self, load, first, step, most):
        """What the client printed, what the server did, and the blocks left."""
        with open(self.plan, "wb") as file:
            file.write(PLAN.pack(0, 0, -1).ljust(4096, b"\0"))
        before = dict(self.env)
        self.env.update(self.preload)
        server = self.start(
            "serve", "--control", self.name + "-control", "--set", "name=" + self.name,
            os.path.join(HERE, "nomem_host.lua"),
        )
        self.env.clear()
        self.env.update(before)
        server.wait_for("serving 1 script")
        values = {"name": self.name, "file": self.plan, "load": load, "first": first,
                  "step": step, "most": most}
        settings = [word for key in values for word in ("--set", f"{key}={values[key]}")]
        done = self.run_pipehost(
            "run", *settings, os.path.join(HERE, "nomem_host_client.lua"), seconds=200
        )
        self.assertEqual(done.status, 0, (done, server))
        self.assertEqual(server.stop(), 0, server)
        with open(self.plan, "rb") as file:
            kept = PLAN.unpack(file.read(PLAN.size))[2]
        return tuple(map(int, re.findall(r"\d+", done.out))), server, kept

    def check(self, load, step, least):
        step = int(STEP or step)
        first = int(os.environ.get("NOMEM_FIRST", 1 + os.getpid() % step))
        _, _, kept_without = self.sweep(load, 10**12, 1, 0)
        (failed, _), server, kept = self.sweep(load, first, step, 0)
        print(f"# {failed} failed; {kept} blocks left, without {kept_without}")
        self.assertGreaterEqual(failed, least / step)
        self.assertGreaterEqual(kept_without, 0)
        self.assertLessEqual(kept, kept_without)
        self.assertRegex(server.err, r"memory|nomem")

    def test_handlers(self):
        self.check("no", 1, 20)

    def test_loads(self):
        self.check("yes", 7, 50)


if __name__ == "__main__":
    phtest.main()
