-- Held calls of one agent, in the queue's order. ARGV = agent, how many of the queue to pass over,
-- how many to look at, how many are wanted. Returns how many were looked at, the score and the id of
-- the last of them, and the ids found.
local rows = redis.call('ZRANGE', P .. ':open', ARGV[2], ARGV[2] + ARGV[3] - 1, 'WITHSCORES')
local found, seen = {}, 0
while seen < #rows / 2 and #found < tonumber(ARGV[4]) do
  seen = seen + 1
  local id = rows[2 * seen - 1]
  if redis.call('HGET', key('c', id), 'agent') == ARGV[1] then found[#found + 1] = id end
end
return { seen, rows[2 * seen] or '', rows[2 * seen - 1] or '', found }
