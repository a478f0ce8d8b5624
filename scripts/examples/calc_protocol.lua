-- SPDX-License-Identifier: MIT
-- What calc_client.lua and calc_server.lua say to each other: structures of a
-- fixed layout, as a C program with #pragma pack(1) has them, little-endian.
local pipehost = require "pipehost"

return {
  Request = pipehost.struct("<", { name = "Request",
    { "id", "I4" },
    { "operation", "I2", enum = { add = 1, subtract = 2, multiply = 3, divide = 4 } },
    { "a", "d" },
    { "b", "d" },
  }),

  Reply = pipehost.struct("<", { name = "Reply",
    { "id", "I4" },
    { "status", "I2", enum = { ok = 0, division_by_zero = 1 } },
    { "result", "d", default = 0 },
  }),
}
