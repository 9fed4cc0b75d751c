-- Calls as agents make them: a small JSON body, another record each time. Prints one line of JSON.
local n = 0
function init(args)
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
  if args[1] and args[1] ~= "" then wrk.headers["Interlock-Key"] = args[1] end
  prefix = wrk.path:gsub("/$", "")
end
function request()
  n = n + 1
  return wrk.format(nil, prefix .. "/records/" .. n, nil, '{"amount": 12, "note": "number ' .. n .. '"}')
end
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '\nRESULT {"calls": %d, "seconds": %.6f, "p50_ms": %.4f, "p99_ms": %.4f, "errors": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3, e.connect + e.read + e.write + e.status + e.timeout))
end
