-- SPDX-License-Identifier: MIT
-- A page about a recording: the diagram, and below it all bytes of each event.
local story = require "pipehost.record.story"
local svg = require "pipehost.record.svg"

local M = {}

local HEAD = [[
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>@TITLE@</title>
<style>
:root { color-scheme: light dark; }
body { margin: 0 auto; padding: 1rem 1.5rem; max-width: 68rem; font: 15px/1.5 system-ui, sans-serif; }
svg { display: block; max-width: 100%; height: auto; border: 1px solid #8884; border-radius: 8px; }
h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
section { padding: .4rem .8rem; border-left: 4px solid #8884; margin: .6rem 0; }
section:target { border-left-color: #1f6feb; background: #1f6feb22; }
section p { margin: 0; }
pre { margin: .3rem 0; overflow-x: auto; font: 13px/1.45 "DejaVu Sans Mono", Menlo, Consolas, monospace; }
.time { color: #7a8699; display: inline-block; min-width: 7.5rem; font-variant-numeric: tabular-nums; }
</style>
</head>
<body>
]]

local function sentence(row)
  local event = row.event
  if event.kind == "open" then
    return "the client opens the pipe"
  elseif event.kind == "close" then
    return row.from and ("the %s closes"):format(row.from) or "the connection ends"
  end
  return ("from %s, %s: %s"):format(row.from == "client" and "client to server" or "server to client", row.size,
    row.label)
end

local function section(row, i)
  local event, parts = row.event, {}
  parts[1] = ('<section id="e%d"><p><span class="time">%s</span> #%d %s</p>'):format(i, story.time(event.ms),
    event.conn, svg.escape(sentence(row)))
  if row.struct then
    parts[#parts + 1] = ("<pre>%s</pre>"):format(svg.escape(row.struct:dump(event.bytes)))
  elseif event.bytes and event.bytes ~= "" then
    parts[#parts + 1] = ("<pre>%s</pre>"):format(svg.escape(story.dump(event.bytes)))
  end
  return table.concat(parts, "\n") .. "\n</section>"
end

---@param recording pipehost.record.recording
---@param protocol? pipehost.record.protocol
---@return string
function M.text(recording, protocol)
  local title = svg.escape(recording.header.pipe):gsub("%%", "%%%%")
  local parts = { (HEAD:gsub("@TITLE@", title)), svg.text(recording, protocol, true), "<h2>All events</h2>" }
  for i, row in ipairs(story.rows(recording, protocol)) do
    parts[#parts + 1] = section(row, i)
  end
  parts[#parts + 1] = "</body>\n</html>"
  return table.concat(parts, "\n") .. "\n"
end

return M
