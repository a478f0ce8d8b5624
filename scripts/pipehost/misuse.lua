-- SPDX-License-Identifier: MIT
-- A mistake of the script: raised with the script's own line, whatever calls of the
-- library are between.
local core = require "pipehost.core"

---@param message string for string.format if there is more
return function(message, ...)
  error(core.place() .. (select("#", ...) > 0 and message:format(...) or message), 0)
end
