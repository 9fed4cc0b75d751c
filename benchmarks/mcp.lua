-- Calls of MCP as agents make them, each with an id and arguments of its own. Prints one line of JSON.
-- Arguments: the method, the era (legacy|modern), and the sessions, which take turns.
local n, sessions, rows = 0, {}, {}
local META = ',"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",' ..
  '"io.modelcontextprotocol/clientInfo":{"name":"bench","version":"1"},' ..
  '"io.modelcontextprotocol/clientCapabilities":{}}'
function init(args)
  local method, modern = args[1], args[2] == "modern"
  local call = method == "tools/call"
  for i = 3, #args do sessions[#sessions + 1] = args[i] end
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
  wrk.headers["Accept"] = "application/json, text/event-stream"
  wrk.headers["MCP-Protocol-Version"] = modern and "2026-07-28" or "2025-11-25"
  if modern then
    wrk.headers["Mcp-Method"] = method
    if call then wrk.headers["Mcp-Name"] = "read" end
  end
  local meta = modern and META or ""
  head = '{"jsonrpc":"2.0","method":"' .. method .. '","id":'
  if call then
    middle = ',"params":{"name":"read","arguments":{"amount":12,"note":"number '
    tail = '"}' .. meta .. '}}'
  else
    middle, tail = nil, ',"params":{' .. meta:sub(2) .. '}}'
  end
end
function request()
  n = n + 1
  local session = sessions[n % #sessions + 1]
  if session then wrk.headers["Mcp-Session-Id"] = session end
  local body = middle and head .. n .. middle .. n .. tail or head .. n .. tail
  return wrk.format(nil, nil, nil, body)
end
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '\nRESULT {"calls": %d, "seconds": %.6f, "p50_ms": %.4f, "p99_ms": %.4f, "errors": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3, e.connect + e.read + e.write + e.status + e.timeout))
end
