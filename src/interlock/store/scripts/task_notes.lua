-- Notes of the tasks that MCP clients poll, bounded in number and, for what they make the store
-- keep, in bytes (see kept()). ARGV = task; or task, agent, version that was read (0: none), content,
-- MAC, ms that it is kept, nonce, how many notes of one agent at most.
-- Returns now, version, content, MAC; or now and OK, STALE (somebody else wrote first) or FULL.
-- Repeating a write with its nonce answers as the first time did.
-- {p}:task:<task>    hash  ver, said, mac, nonce
-- {p}:tasks:<agent>  zset  its notes, by when they end
local task = ARGV[1]
local note = key('task', task)
if #ARGV == 1 then
  local v = redis.call('HMGET', note, 'ver', 'said', 'mac')
  return { ms(NOW), v[1] or '0', v[2] or '', v[3] or '' }
end
local agent, version, said, mac = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local lasts, nonce, most = tonumber(ARGV[6]), ARGV[7], tonumber(ARGV[8])
local was = redis.call('HMGET', note, 'ver', 'nonce')
if was[2] == nonce then return { ms(NOW), 'OK' } end
if (was[1] or '0') ~= version then return { ms(NOW), 'STALE' } end
local mine = key('tasks', agent)
if version == '0' then
  redis.call('ZREMRANGEBYSCORE', mine, '-inf', ms(NOW))
  if redis.call('ZCARD', mine) >= most or over('v', agent) then return { ms(NOW), 'FULL' } end
end
kept('v', agent, #said, lasts)
redis.call('HSET', note, 'ver', ms(version + 1), 'said', said, 'mac', mac, 'nonce', nonce)
redis.call('PEXPIRE', note, ms(lasts))
redis.call('ZADD', mine, ms(NOW + lasts), task)
if redis.call('PTTL', mine) < lasts then redis.call('PEXPIRE', mine, ms(lasts)) end
return { ms(NOW), 'OK' }
