-- What archives have read of the feed: ARGV[1] the archive, ARGV[2] the id of its latest entry,
-- ARGV[3] for how long (ms) an archive that is not heard of holds up what others have read.
-- {p}:feed:archives  hash  archive -> <id> <heard of at, ms>
local MOST = 64  -- archives
local A, K = P .. ':feed:archives', P .. ':feed'
local function parts(id)
  local epoch, n = string.match(id, '^(%d+)-(%d+)$')
  return tonumber(epoch), tonumber(n)
end
if not parts(ARGV[2]) then return { '0' } end
if redis.call('TYPE', A).ok ~= 'hash' then redis.call('DEL', A) end  -- not ours
if redis.call('HEXISTS', A, ARGV[1]) == 0 and redis.call('HLEN', A) >= MOST then return { '0' } end
redis.call('HSET', A, ARGV[1], ARGV[2] .. ' ' .. ms(NOW))

local least, epoch, n
local all = redis.call('HGETALL', A)
for i = 1, #all, 2 do
  local id, at = string.match(all[i + 1], '^(%d+%-%d+) (%d+)$')
  if not id or tonumber(at) < NOW - tonumber(ARGV[3]) then redis.call('HDEL', A, all[i])
  else
    local e, m = parts(id)
    if not least or e < epoch or (e == epoch and m < n) then least, epoch, n = id, e, m end
  end
end

local before = redis.call('XLEN', K)
local gone = redis.call('XTRIM', K, 'MINID', ms(epoch) .. '-' .. ms(n + 1))
local bytes = tonumber(redis.pcall('GET', K .. ':bytes')) or 0
if gone > 0 then redis.call('SET', K .. ':bytes', ms(math.floor(bytes * (before - gone) / before))) end
return { ms(gone) }
