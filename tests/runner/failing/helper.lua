-- Required by errors.lua.
return {
  fails = function()
    error "it fails"
  end,
}
