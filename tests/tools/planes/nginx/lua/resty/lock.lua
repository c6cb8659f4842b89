-- Made always, locked for load balancing by EWMA only.
return { new = function() return {} end }
