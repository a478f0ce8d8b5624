#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# run.py: timeout=500
"""Reloads under traffic: no message is lost, doubled or out of order, and a
thousand reloads leave nothing behind."""

import os

import reload
from reload import HERE, phtest

# Sanitizers and Wine take five to ten times as long for each.
RELOADS = 1000 if phtest.SYSTEM == "linux" else 250
CLIENTS = 20

SERVER = """
local pipehost = require "pipehost"
local pipe = pipehost.pipe
local words = require "words"

for _ = 1, 3 do
  pipe.spawn(function()
    while true do
      pipe.sleep(20)
    end
  end)
end
pipehost.on_start(function()
  while true do
    pipe.sleep(20)
  end
end)
pipehost.on_stop(function() pipe.sleep(1) end)

pipehost.server {
  name = pipehost.config.pipe,
  MORE
  on_message = function(conn, message)
    conn.state.count = (conn.state.count or 0) + 1
    if conn.state.count % 5 == 0 then
      pipe.sleep(1)
    end
    return conn.state.count .. " " .. message .. " " .. conn.generation .. words
  end,
}
"""


class Traffic(reload.Case):
    def resident(self):
        """KiB."""
        with open(f"/proc/{self.server.pid}/status") as file:
            for line in file:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1])

    def handles(self):
        return len(os.listdir(f"/proc/{self.server.pid}/fd"))

    def quiet(self):
        """The status once every old generation is closed."""
        phtest.eventually(
            lambda: len(self.ctl_json("generations")["generations"]) == 1, 30, "one generation"
        )
        return self.ctl_json("status")

    def reload_under_traffic(self, more, reloads, seen):
        self.save("words.lua", "return ''")
        self.serve(SERVER.replace("MORE", more))
        client = self.start(
            "run", phtest.native(os.path.join(HERE, "traffic.lua")), self.pipe, self.control,
            str(CLIENTS), str(reloads), "0",
        )
        client.wait_for("^warm$", 120)
        before = (self.resident(), self.handles())
        self.assertEqual(client.wait(450), 0, (client, self.server))
        after = self.quiet()
        found = client.wait_for(r"^(\d+) messages, (\d+) generations seen$")
        self.assertGreater(int(found[1]), CLIENTS)
        self.assertGreaterEqual(int(found[2]), seen)
        self.assertEqual(after["scripts"][0]["generation"], reloads + 1)
        return before, after, found[0]

    def test_memory_handles_and_tasks_stay_flat(self):
        before, after, said = self.reload_under_traffic("", RELOADS, RELOADS // 4)
        resident, handles = before
        grown = self.resident() - resident
        print(f"# {said}; resident {resident} KiB, then {grown:+d}; {after['timers']} timers")
        # The four tasks of the one generation, and what the host itself waits for.
        self.assertLess(after["timers"], 12, after)
        self.assertLessEqual(self.handles(), handles + 5)
        if not phtest.SANITIZE:  # which keep freed memory, and look for leaks themselves
            self.assertLess(grown, 8 * 1024)
        self.assertNotIn(" error ", self.server.err)
        self.assertNotIn("stays on this generation", self.server.err)

    def test_with_on_adopt(self):
        """Each connection is asked in the new state, by a worker that waits."""
        more = "on_adopt = function(conn) pipe.sleep(1) end,"
        self.reload_under_traffic(more, RELOADS // 5, 10)
        self.assertNotIn(" error ", self.server.err)
        self.assertNotIn("stays on this generation", self.server.err)

    def test_task_that_does_not_want_to_end(self):
        """It is ended all the same."""
        self.serve("""
local pipehost = require "pipehost"
pipehost.on_start(function()
  pipehost.log.info "begun"
  while true do
    pcall(pipehost.pipe.sleep, 20)
  end
end)
""" + reload.ANSWERS % "v1")
        for number in range(2, 6):
            self.reload("--force")
            self.server.wait_for(f"#{number}: begun")
        after = self.quiet()
        self.assertLess(after["timers"], 9, after)


if __name__ == "__main__":
    phtest.main()
