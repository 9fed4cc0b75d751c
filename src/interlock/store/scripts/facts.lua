-- What the past says about calls: each argument says what one of them needs (store/past.py).
local past = past()
local function answer(needs)
  local own, half, task, familiar, session, target, grant, rest =
    string.match(needs, '^(%S+) (%d+) (%d) (%S+) (%S+) (%S+) (%S+)\n?(.*)$')
  local row = { '', '', '', '0', '', '0', '' }
  local eff = own ~= '-' and redis.call('HGET', key('c', own), 'eff')
  local mine = past.NOTHING
  if eff then mine = past.effects_of(eff) end
  if not mine then return {} end  -- damaged: no answer can be read from this
  if familiar ~= '-' then row[1] = ms(redis.call('EXISTS', key('n', familiar))) end
  if session ~= '-' then
    local v = redis.call('HMGET', key('t', session), 'untrusted_content', 'sensitive_data', 'writes',
                         'calls', 'points', 'points_at')
    local points = past.decayed(tonumber(v[5] or '0'), tonumber(v[6] or '0'), tonumber(half))
    row[2] = table.concat({ v[1] or '0', v[2] or '0', v[3] or '0', v[4] or '0',
                            string.format('%.17g', points) }, ' ')
    local said = task == '1' and redis.call('GET', key('k', session))
    if said then row[3] = 't' .. said end
  end
  if target ~= '-' then row[4] = ms(redis.call('EXISTS', key('x', target))) end
  if grant ~= '-' then
    local v = redis.call('HMGET', key('g', grant), 'said', 'id', 'uses', 'used', 'expires', 'taken')
    if v[1] and not v[6] and tonumber(v[5]) > NOW then
      local used = v[4] - (mine.g == v[2] and 1 or 0)
      if used < tonumber(v[3]) then row[5], row[6] = v[1], ms(used) end
    end
  end
  local used = {}
  for k, window in string.gmatch(rest, '(%S+) (%d+)') do
    used[#used + 1] = ms(math.max(0, past.usage(k, tonumber(window)) - past.share(mine, k)))
  end
  row[7] = table.concat(used, ' ')
  return row
end

local out = {}
for i = 1, #ARGV do out[i] = answer(ARGV[i]) end
return out
