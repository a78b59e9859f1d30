-- Sends the bodies of a file, a line each (in hexadecimal digits where the file's name ends in .hex), in turn; tells what it
-- found in one line of JSON.
-- Arguments after `--`: the file and the path to post to. Headers come by wrk's own -H.

local requests, position = {}, 0

local function character(digits)
  return string.char(tonumber(digits, 16))
end

function init(args)
  for body in io.lines(args[1]) do
    if args[1]:match("%.hex$") then
      body = body:gsub("%x%x", character)
    end
    requests[#requests + 1] = wrk.format("POST", args[2], wrk.headers, body)
  end
end

function request()
  position = position % #requests + 1
  return requests[position]
end

function done(summary, latency)
  local failed = summary.errors
  io.write(string.format(
    '\nfound {"requests": %d, "seconds": %.6f, "p50_ms": %.6f, "p99_ms": %.6f, "errors": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    failed.connect + failed.read + failed.write + failed.status + failed.timeout
  ))
end
