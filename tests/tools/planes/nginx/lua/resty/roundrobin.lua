-- Stands in for a library of OpenResty's that no registry has: nodes in turn, all of one weight.
local _M = {}

function _M.new(self, nodes)
  return setmetatable({ nodes = nodes, keys = {}, last = 0 }, { __index = self }):reinit(nodes)
end

function _M.reinit(self, nodes)
  self.nodes, self.keys = nodes, {}
  for key in pairs(nodes) do
    self.keys[#self.keys + 1] = key
  end
  table.sort(self.keys)
  return self
end

function _M.find(self)
  self.last = self.last % #self.keys + 1
  return self.keys[self.last]
end

return _M
