-- Stops after as many answers as the first argument says (wrk -s count.lua URL -- COUNT); one thread only.
local left

function init(args)
  left = tonumber(args[1])
end

function response()
  left = left - 1
  if left == 0 then
    wrk.thread:stop()
  end
end
