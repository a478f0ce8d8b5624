-- Answers every client of the pipe "@NAME@".
local pipehost = require "pipehost"

pipehost.server {
  name = pipehost.config.pipe or "@NAME@", -- another name: --set pipe=NAME
  timeout = 3000, -- ms, for each reply

  on_open = function(conn)
    conn.state.count = 0 -- conn.state is this client's own, and stays over a reload
  end,

  on_message = function(conn, message)
    conn.state.count = conn.state.count + 1
    return ("hello, %s (message %d)"):format(message, conn.state.count) -- what is returned is the reply
  end,
}
