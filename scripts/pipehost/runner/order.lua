-- SPDX-License-Identifier: MIT
-- Orders that a seed brings back.
local M = {}

-- Not math.random: what is shuffled later must not depend on what came before.
local function generator(seed)
  local state = seed & 0x7fffffff
  return function(most)
    state = (state * 1103515245 + 12345) & 0x7fffffff
    return (state >> 8) % most + 1
  end
end

---@return integer
function M.fresh_seed()
  return math.random(0, 999999)
end

---The list in an order of its own for each seed and text.
---@generic T
---@param list T[]
---@param seed integer
---@param text string
---@return T[]
function M.shuffled(list, seed, text)
  for i = 1, #text do
    seed = (seed * 31 + text:byte(i)) & 0x7fffffff
  end
  local random, copy = generator(seed), table.move(list, 1, #list, 1, {})
  for i = #copy, 2, -1 do
    local j = random(i)
    copy[i], copy[j] = copy[j], copy[i]
  end
  return copy
end

return M
