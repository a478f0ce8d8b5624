local t = require "pipehost.test"
local pipehost = require "pipehost"
local pipe = pipehost.pipe
local tests = {}
function tests.test_drop()
  local name = t.name()
  local server = t.server { name = name, mode = "message", on_message = function(_, m) return "re:" .. m end }
  local f = t.faults(name, { side = "client", { drop = true, on = "out", nth = 2 } })
  local p <close> = assert(pipe.open(name, {timeout=5000}))
  for _, m in ipairs { "a", "b", "c" } do assert(p:send(m)) end
  t.assertEquals(p:receive(), "re:a")
  t.assertEquals(p:receive(), "re:c")
  t.assertEquals(f:count("drop"), 1)
  t.assertEquals(f:count("units", "out"), 3)
end
return tests
