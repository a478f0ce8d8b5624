-- SPDX-License-Identifier: MIT
-- What is said on the pipe ServerInfo: flags from the client, one structure
-- from the server. All integers are little-endian.
local pipehost = require "pipehost"

local Flag = pipehost.struct("<", { name = "flag", { "flag", "I4" } })

-- CLIENT_SERVER_INFO
local ServerInfo = pipehost.struct("<", { name = "CLIENT_SERVER_INFO", { "iFage", "i4" } })

return {
  PIPE = "ServerInfo",
  TIMEOUT = 3000, -- ms, for each operation

  -- RETURN_DATA_SERVER_INFO_FLAG: asks for the structure.
  ASK = 1,
  -- RETURN_DATA_SERVER_INFO_FLAG_END: the client is done.
  END = 2,

  Flag = Flag,

  ServerInfo = ServerInfo,

  -- What each end sends, for `--protocol` of record, replay and transcript.
  client = Flag,
  server = ServerInfo,

  flag = function(value)
    return Flag:pack { flag = value }
  end,
}
