-- Keep the user's request of one session: ARGV = agent, session, request, ms, how many sessions at
-- most. Returns nothing where the agent has as many already: dropping one of them would let an
-- agent push out what its framework said. Repeating it changes nothing.
local agent, session, said, lasts, most = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local mine = key('q', agent)
if not redis.call('ZSCORE', mine, session) and redis.call('ZCARD', mine) >= most then
  for _, ended in ipairs(redis.call('ZRANGEBYSCORE', mine, '-inf', ms(NOW))) do
    local left = redis.call('PTTL', key('k', ended))  -- calls in a session keep its request alive
    if left > 0 then redis.call('ZADD', mine, ms(NOW + left), ended)
    else redis.call('ZREM', mine, ended) end
  end
  if redis.call('ZCARD', mine) >= most then return {} end
end
redis.call('SET', key('k', session), said, 'PX', lasts)
redis.call('ZADD', mine, ms(NOW + lasts), session)
if redis.call('PTTL', mine) < tonumber(lasts) then redis.call('PEXPIRE', mine, lasts) end
return { 'kept' }
