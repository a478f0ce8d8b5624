-- SPDX-License-Identifier: MIT
-- A recording as a sequence diagram: a line of life for each client and one for
-- the server, arrows between them, time from top to bottom.
local story = require "pipehost.record.story"

local MOST_CLIENTS = 5 -- with a line of its own; more share one
local LEFT, TOP, BOTTOM, RIGHT = 110, 118, 30, 80
local CLIENT_WIDTH, ARROW_WIDTH = 110, 460
local MESSAGE, SIGN, GAP = 50, 38, 34 -- heights of rows
local CHARACTER = 7.9 -- width, of the labels' font
local TOOLTIP_ROWS = 12
local COLOURS = 6

local M = {}

local STYLE = [[
.pipehost { --paper: #ffffff; --ink: #1c2430; --faint: #69758a; --line: #c9d1dc; --box: #f2f5f9;
  --c0: #1f6feb; --c1: #b3470d; --c2: #1a7f37; --c3: #8250df; --c4: #bf3989; --c5: #57606a; }
@media (prefers-color-scheme: dark) {
  .pipehost { --paper: #10151d; --ink: #e3e9f2; --faint: #93a0b5; --line: #38424f; --box: #1b232e;
    --c0: #6cb0ff; --c1: #f0a36b; --c2: #63c77d; --c3: #c3a1ff; --c4: #f38ac3; --c5: #aeb8c4; } }
.pipehost text { font-family: "DejaVu Sans Mono", Menlo, Consolas, monospace; font-size: 13px; fill: var(--ink); }
.pipehost .title { font-family: system-ui, sans-serif; font-size: 19px; font-weight: 600; }
.pipehost .faint { fill: var(--faint); font-size: 11.5px; font-family: system-ui, sans-serif; }
.pipehost .who { font-family: system-ui, sans-serif; font-weight: 600; }
.pipehost .label { paint-order: stroke; stroke: var(--paper); stroke-width: 5px; stroke-linejoin: round; }
.pipehost .paper { fill: var(--paper); } .pipehost .box { fill: var(--box); stroke: var(--line); }
.pipehost .life { stroke: var(--line); stroke-width: 1.5; }
.pipehost .arrow { stroke-width: 1.8; fill: none; } .pipehost .sign { stroke-dasharray: 5 4; }
.pipehost .event:hover .label { text-decoration: underline; }
]]

for i = 0, COLOURS - 1 do
  STYLE = STYLE .. (".pipehost .k%d { stroke: var(--c%d); } .pipehost .f%d { fill: var(--c%d); }\n"):format(i, i, i, i)
end

---Text for XML: what it cannot have becomes a dot.
---@param text string
---@return string
function M.escape(text)
  if not utf8.len(text) then
    text = text:gsub("[\x80-\xff]", ".")
  end
  return (text:gsub("[%z\1-\8\11\12\14-\31\127]", "."):gsub('[&<>"]', {
    ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;",
  }))
end

-- Where everything stands ------------------------------------------------------------

local function new_drawing(recording)
  local numbers = {}
  for _, event in ipairs(recording.events) do
    numbers[#numbers + 1] = event.kind == "open" and event.conn or nil
  end
  local shared = #numbers > MOST_CLIENTS
  local columns = shared and 1 or math.max(#numbers, 1)
  local drawing = { out = {}, shared = shared, x = {}, colour = {}, y = TOP, opened = {} }
  for i, number in ipairs(numbers) do
    drawing.x[number] = LEFT + 60 + (shared and 0 or (i - 1) * CLIENT_WIDTH)
    drawing.colour[number] = (i - 1) % COLOURS
  end
  drawing.numbers = numbers
  drawing.last = LEFT + 60 + (columns - 1) * CLIENT_WIDTH
  drawing.server = drawing.last + ARROW_WIDTH
  drawing.width = drawing.server + RIGHT
  return drawing
end

local function add(drawing, text, ...)
  drawing.out[#drawing.out + 1] = text:format(...)
end

-- Rows ---------------------------------------------------------------------------------

local function tooltip(row)
  local event = row.event
  if not event.bytes then
    return ""
  end
  local lines = { ("connection %d, %s"):format(event.conn, row.size) }
  lines[#lines + 1] = row.struct and row.struct:dump(event.bytes) or nil
  lines[#lines + 1] = story.dump(event.bytes, TOOLTIP_ROWS)
  return ("<title>%s</title>"):format(M.escape(table.concat(lines, "\n")))
end

local function head(drawing, x, y, to_left, colour)
  local dx = to_left and 9 or -9
  add(drawing, '<path class="f%d" d="M%g %gl%g -4.5v9z"/>', colour, x, y, dx)
end

-- From one line of life to the other, with a head where it is known who acts.
local function arrow(drawing, row, y, class)
  local client, server = drawing.x[row.event.conn], drawing.server
  local colour = drawing.colour[row.event.conn]
  add(drawing, '<path class="arrow %s k%d" d="M%g %gH%g"/>', class, colour, client + 4, y, server - 4)
  if row.from then
    local to_left = row.from == "server"
    head(drawing, to_left and client + 4 or server - 4, y, to_left, colour)
  end
end

local function label(drawing, row, y)
  local text = row.label
  if drawing.shared then
    text = ("#%d  %s"):format(row.event.conn, text)
  end
  text = story.cut(text, math.floor((ARROW_WIDTH - 30) / CHARACTER))
  add(drawing, '<text class="label" x="%g" y="%g" text-anchor="middle">%s</text>',
    (drawing.last + drawing.server) / 2, y, M.escape(text))
end

local function time(drawing, row, y)
  add(drawing, '<text class="faint" x="%d" y="%g" text-anchor="end">%s</text>', LEFT - 14, y + 4,
    story.time(row.event.ms))
end

local function gap(drawing, row)
  local y = drawing.y + GAP / 2
  add(drawing, '<text class="faint label" x="%g" y="%g" text-anchor="middle">%s later</text>',
    (drawing.last + drawing.server) / 2, y + 4, story.time(row.gap))
  drawing.y = drawing.y + GAP
end

local function message(drawing, row)
  local y = drawing.y + 24
  label(drawing, row, y - 8)
  arrow(drawing, row, y, "")
  add(drawing, '<text class="faint label" x="%g" y="%g" text-anchor="middle">%s</text>',
    (drawing.last + drawing.server) / 2, y + 15, row.size)
  time(drawing, row, y)
  drawing.y = drawing.y + MESSAGE
end

local function sign(drawing, row)
  local y = drawing.y + 22
  label(drawing, row, y - 7)
  arrow(drawing, row, y, "sign")
  time(drawing, row, y)
  if row.event.kind == "open" then
    drawing.opened[row.event.conn] = y
  else
    drawing.closed[row.event.conn] = y
  end
  drawing.y = drawing.y + SIGN
end

-- Lines of life ----------------------------------------------------------------------------

local function box(drawing, x, text, below)
  local width = math.max(utf8.len(text) * 8.2 + 24, 92)
  add(drawing, '<rect class="box" x="%g" y="%d" width="%g" height="30" rx="6"/>', x - width / 2, TOP - 46, width)
  add(drawing, '<text class="who" x="%g" y="%d" text-anchor="middle">%s</text>', x, TOP - 26, M.escape(text))
  add(drawing, '<path class="life" d="M%g %dV%g"/>', x, TOP - 16, below)
end

local function lives(drawing)
  local below = drawing.y + 6
  if drawing.shared then
    box(drawing, drawing.last, ("%d clients"):format(#drawing.numbers), below)
  end
  for i, number in ipairs(drawing.shared and {} or drawing.numbers) do
    local x = drawing.x[number]
    box(drawing, x, #drawing.numbers == 1 and "client" or ("client %d"):format(number), below)
    add(drawing, '<rect class="f%d" x="%g" y="%g" width="6" height="%g" rx="3"/>', (i - 1) % COLOURS, x - 3,
      drawing.opened[number], (drawing.closed[number] or below) - drawing.opened[number])
  end
  box(drawing, drawing.server, "server", below)
end

local function draw_rows(drawing, rows, link)
  drawing.closed = {}
  for i, row in ipairs(rows) do
    if row.gap then
      gap(drawing, row)
    end
    add(drawing, link and '<a href="#e%d"><g class="event">%s' or '<g class="event" id="d%d">%s', i, tooltip(row))
    if row.event.bytes then
      message(drawing, row)
    else
      sign(drawing, row)
    end
    add(drawing, link and "</g></a>" or "</g>")
  end
end

---@param recording pipehost.record.recording
---@param protocol? pipehost.record.protocol
---@param link? boolean each event links to "#eN"
---@return string
function M.text(recording, protocol, link)
  local drawing = new_drawing(recording)
  draw_rows(drawing, story.rows(recording, protocol), link)
  local rows = drawing.out
  drawing.out = {}
  local height = drawing.y + BOTTOM
  add(drawing, '<svg xmlns="http://www.w3.org/2000/svg" class="pipehost" width="%g" height="%g" viewBox="0 0 %g %g">',
    drawing.width, height, drawing.width, height)
  add(drawing, "<title>%s</title>", M.escape(recording.header.pipe))
  add(drawing, "%s", "<style>" .. STYLE .. "</style>")
  add(drawing, '<rect class="paper" width="100%%" height="100%%"/>')
  add(drawing, '<text class="title" x="24" y="34">%s</text>', M.escape(recording.header.pipe))
  add(drawing, '<text class="faint" x="24" y="54">%s</text>', M.escape(story.summary(recording)))
  lives(drawing)
  return table.concat(drawing.out, "\n") .. "\n" .. table.concat(rows, "\n") .. "\n</svg>\n"
end

return M
