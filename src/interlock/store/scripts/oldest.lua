-- When the hold that waits longest was created; 0 where none is open. Within one turn and stake the
-- oldest comes first (place() in put.lua), so that only the first of each has to be looked at.
local from, oldest = 0, 0
while true do
  local first = redis.call('ZRANGEBYSCORE', P .. ':open', ms(from), '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
  if not first[2] then return oldest end
  local created = first[2] % 1e13
  if oldest == 0 or created < oldest then oldest = created end
  from = first[2] - created + 1e13
end
