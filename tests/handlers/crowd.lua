-- SPDX-License-Identifier: MIT
-- Counts the messages that it handles and answers with the number. "post": tells
-- everybody first; "close": closes everybody else.
local pipehost = require "pipehost"

local count = 0
local server

server = pipehost.server {
  name = pipehost.config.name,
  mode = pipehost.config.mode,
  frame = pipehost.config.mode == "byte" and "lines" or nil,
  timeout = 20000,
  on_message = function(conn, message)
    count = count + 1
    local number = count -- a close waits, and others are handled meanwhile
    for other in server:connections() do
      if message == "post" then
        other:post("p" .. number)
      elseif message == "close" and other ~= conn then
        other:close()
      end
    end
    if message == "big" then
      return number .. ("x"):rep(4000)
    end
    return message:sub(1, 4) == "long" and number .. message or "r" .. number
  end,
}
