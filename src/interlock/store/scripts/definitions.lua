-- Keep what an MCP server says of its tools, unless somebody else wrote since it was read:
-- ARGV = server, version that was read (0: nothing), 1 for a whole listing, 1 where tools of it
-- are not known any more, then pairs of a tool and its record (empty: forget it). Repeating one is
-- stale, and changes nothing.
-- {p}:d:<server>   hash   ver; whole: when it was first listed to its end; lost: since when tools
--                         of it are not known any more; t:<tool> records
-- {p}:definitions  hash   server -> ver, so that one question tells what is new
local d = key('d', ARGV[1])
if (redis.call('HGET', d, 'ver') or '0') ~= ARGV[2] then return { 'STALE' } end
for at = 5, #ARGV, 2 do
  if ARGV[at + 1] == '' then redis.call('HDEL', d, 't:' .. ARGV[at])
  else redis.call('HSET', d, 't:' .. ARGV[at], ARGV[at + 1]) end
end
if ARGV[3] == '1' then redis.call('HSETNX', d, 'whole', ms(NOW)) end
if ARGV[4] == '1' then redis.call('HSETNX', d, 'lost', ms(NOW)) end
local ver = redis.call('HINCRBY', d, 'ver', 1)
redis.call('HSET', P .. ':definitions', ARGV[1], ver)
return { 'OK', ver }
