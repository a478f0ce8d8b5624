-- SPDX-License-Identifier: MIT
-- What a field of pipehost.struct lays over its type: names of numbers, a count,
-- a constant. Each function takes a codec and returns another one; what it
-- refuses is raised as a message without a place.
local show = require "pipehost.show"
local codec = require "pipehost.struct.codec"
local failures = require "pipehost.struct.failure"

local fail, unexpected, within = failures.fail, failures.unexpected, failures.within

local M = {}

local function refuse(message, ...)
  error(message:format(...), 0)
end

-- Numbers with names ---------------------------------------------------------------

local function sorted_names(numbers)
  local names = {}
  for name in pairs(numbers) do
    names[#names + 1] = name
  end
  table.sort(names, function(a, b)
    return math.ult(numbers[a], numbers[b])
  end)
  return names
end

-- Checks { ask = 1, … } and returns number -> name.
local function by_number(base, order, option, numbers)
  if not base.integer then
    refuse("%s needs an integer of at most 8 bytes", option)
  elseif type(numbers) ~= "table" or next(numbers) == nil then
    refuse("%s is a table of names and numbers, as { ask = 1 }", option)
  end
  local names = {}
  for name, number in pairs(numbers) do
    if type(name) ~= "string" or math.type(number) ~= "integer" then
      refuse("%s is a table of names and numbers, as { ask = 1 }", option)
    elseif names[number] then
      local both = { name, names[number] }
      table.sort(both)
      refuse("%s: '%s' and '%s' are both %d", option, both[1], both[2], number)
    end
    local bytes, failure = codec.to_bytes(base, order, number)
    if not bytes then
      refuse("%s: '%s'%s", option, name, failure.text)
    end
    names[number] = name
  end
  return names
end

---Names take the numbers' place.
---@param base pipehost.struct.codec
---@param order "<" | ">"
---@param numbers table<string, integer>
---@param open? boolean other numbers are numbers
---@return pipehost.struct.codec
function M.enum(base, order, numbers, open)
  local names = by_number(base, order, "enum", numbers)
  local listed = sorted_names(numbers)
  local expected = "one of " .. table.concat(listed, ", ")
  return codec.derive(base, {
    encode = function(value)
      local number = numbers[value]
      if number then
        return number
      elseif open and math.type(value) == "integer" then
        return value
      end
      return fail((": %s is none of its names%s"):format(show.value(value), show.near(value, listed)))
    end,
    decode = function(number)
      local name = names[number] or open and number
      if not name then
        return unexpected(expected, number, true)
      end
      return name
    end,
  })
end

local function all_bits(numbers, open)
  local known = 0
  for name, bit in pairs(numbers) do
    if bit == 0 or bit & (bit - 1) ~= 0 then
      refuse("flags: '%s' is not one bit", name)
    elseif open and name == "rest" then
      refuse "flags: with rest = true no flag can be named 'rest'"
    end
    known = known | bit
  end
  return known
end

---A table of the names of set bits takes the number's place.
---@param base pipehost.struct.codec
---@param order "<" | ">"
---@param bits table<string, integer>
---@param open? boolean other bits are the number `rest`
---@return pipehost.struct.codec
function M.flags(base, order, bits, open)
  by_number(base, order, "flags", bits)
  if not base.unsigned then
    refuse "flags need an unsigned code"
  end
  local known, listed = all_bits(bits, open), sorted_names(bits)
  local expected = ("only bits of 0x%x"):format(known)

  local function add(number, name, value)
    if open and name == "rest" then
      if math.type(value) ~= "integer" or value & known ~= 0 then
        return fail((": rest is a number of bits without names, got %s"):format(show.value(value)))
      end
      return number | value
    elseif not bits[name] then
      return fail((": %s is none of its flags%s"):format(show.value(name), show.near(name, listed)))
    elseif type(value) ~= "boolean" then
      return fail((": flag '%s' is true or false, got %s"):format(name, show.value(value)))
    end
    return value and number | bits[name] or number
  end

  return codec.derive(base, {
    encode = function(set)
      if type(set) ~= "table" then
        return fail((": a table of flags expected, as { %s = true }, got %s"):format(listed[1], show.value(set)))
      end
      local number = 0
      for name, value in pairs(set) do
        local failure
        number, failure = add(number, name, value)
        if not number then
          return nil, failure
        end
      end
      return number
    end,
    decode = function(number)
      local set, rest = {}, number & ~known
      for name, bit in pairs(bits) do
        set[name] = number & bit ~= 0 or nil
      end
      if rest ~= 0 and not open then
        return unexpected(expected, number, true)
      elseif rest ~= 0 then
        set.rest = rest
      end
      return set
    end,
  })
end

-- Arrays -----------------------------------------------------------------------------

local function check_elements(values, count)
  if type(values) ~= "table" then
    return fail((": a list of %d expected, got %s"):format(count, show.value(values)))
  end
  for key in pairs(values) do
    if math.type(key) ~= "integer" or key < 1 or key > count then
      return fail((": a list of %d expected, but it has the key %s"):format(count, show.value(key)))
    end
  end
  return true
end

local function encode_elements(element, values, count)
  local list, encode = {}, element.encode
  for i = 1, count do
    local value = values[i]
    if value == nil then
      return fail(" is missing", ("[%d]"):format(i))
    elseif encode then
      local failure
      value, failure = encode(value)
      if value == nil then
        return within(failure, ("[%d]"):format(i), 0)
      end
    end
    list[i] = value
  end
  return list
end

local function decode_elements(element, list)
  for i, raw in ipairs(list) do
    local value, failure = element.decode(raw)
    if value == nil then
      return within(failure, ("[%d]"):format(i), (i - 1) * element.size)
    end
    list[i] = value
  end
  return list
end

---@param element pipehost.struct.codec
---@param order "<" | ">"
---@param count integer
---@return pipehost.struct.codec
function M.array(element, order, count)
  if math.type(count) ~= "integer" or count < 1 or count > codec.MOST_ELEMENTS then
    refuse("count is 1 to %d", codec.MOST_ELEMENTS)
  end
  local format, size = order .. element.code:rep(count), count * element.size
  local function at(i)
    return element, ("[%d]"):format(i)
  end
  return {
    size = size, align = element.align, code = "c" .. size, element = element, count = count,
    encode = function(values)
      local list, failure = check_elements(values, count)
      if list then
        list, failure = encode_elements(element, values, count)
      end
      if not list then
        return nil, failure
      end
      return codec.pack(format, list, count, at)
    end,
    decode = function(raw)
      local list = { string.unpack(format, raw) }
      list[count + 1] = nil -- the position after them
      if element.decode then
        return decode_elements(element, list)
      end
      return list
    end,
  }
end

-- Constants --------------------------------------------------------------------------

---Packed for nil and for a value of the same bytes; no others are unpacked.
---@param base pipehost.struct.codec
---@param order "<" | ">"
---@param value any
---@return pipehost.struct.codec
function M.constant(base, order, value)
  local bytes, failure = codec.to_bytes(base, order, value)
  if not bytes then
    refuse("equals%s", failures.why(failure))
  end
  -- As unpack gives it: the text of a c4 with its zeros, say.
  local expected = codec.from_bytes(base, order, bytes)

  return codec.derive(base, {
    code = "c" .. #bytes, constant = bytes,
    encode = function(given)
      local same = given == nil and bytes or codec.to_bytes(base, order, given)
      if same ~= bytes then
        return fail((" is always %s, not %s"):format(show.value(expected), show.value(given)))
      end
      return bytes
    end,
    decode = function(raw)
      local got, why = codec.from_bytes(base, order, raw)
      if got == nil or raw == bytes then
        return got, why
      elseif type(got) == "table" or got == expected then
        return unexpected(bytes, raw)
      end
      return unexpected(expected, got)
    end,
  })
end

return M
