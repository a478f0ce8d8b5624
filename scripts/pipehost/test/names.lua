-- SPDX-License-Identifier: MIT
-- Names of pipes that nobody else has: not in this run, nor in another one.
local core = require "pipehost.core"

local M = {}

local run
local count = 0

---@return string
function M.fresh()
  if not core.host then
    error("t.name: this is for test files, which 'pipehost test' runs", 2)
  end
  run = run or ("%s%d-%x"):format(os.getenv "PH_TEST_MARK" or "", core.host.pid(), core.now() * 1000 // 1 | 0)
  count = count + 1
  return ("ph-test-%s-%d"):format(run, count)
end

return M
