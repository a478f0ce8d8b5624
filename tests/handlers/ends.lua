-- SPDX-License-Identifier: MIT
-- What the conformance tests share, for those here.
local folder = debug.getinfo(1, "S").source:match "^@(.*)[/\\]handlers[/\\]"

return dofile(folder .. "/conformance/ends.lua")
