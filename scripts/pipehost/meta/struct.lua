---@meta _
-- SPDX-License-Identifier: MIT

---@class pipehost
local pipehost = {}

---A field: { name, type, options… }.
---@class pipehost.struct.options
---@field count? integer an array of so many
---@field equals? any a constant: other bytes are "protocol"
---@field enum? table<string, integer> names that take the numbers' place
---@field flags? table<string, integer> names of bits
---@field rest? boolean lets numbers and bits without a name pass
---@field default? any packed when the value is missing

---@class pipehost.struct.field: pipehost.struct.options
---@field [1] string its name
---@field [2] string | pipehost.struct its type: a code of string.pack, "char[n]", "wchar[n]", "bytes", a struct

---@class pipehost.struct.fields
---@field name? string for messages
---@field [integer] pipehost.struct.field

---A layout of fields: pipehost.struct("<", { { "iFage", "i4" } }).
---@param prefix string byte order and alignment as in string.pack: "<", ">", "<!8"
---@param fields pipehost.struct.fields
---@return pipehost.struct
function pipehost.struct(prefix, fields) end

---@class pipehost.struct
---@field name? string
---@field prefix string
---@field size? integer bytes; nil when the last field is of variable size
---@field align integer
---@field fields { name: string, code: string, offset: integer, size?: integer, count?: integer, struct?: pipehost.struct }[]
local s = {}

---Raises when a field is missing, unknown or does not fit.
---@param values table<string, any>
---@return string bytes
function s:pack(values) end

---@param bytes string
---@return table<string, any>? values
---@return "protocol"? code
---@return pipehost.info? info
function s:unpack(bytes) end

---A line for each field: offset, bytes in hex, name, value.
---@param bytes string
---@return string
function s:dump(bytes) end
