-- Ask of a waiting room what a crowd would. Run by bench/room, which says by environment what:
--
--   BENCH_SHAPE   poll       the state document, as wrk asks by itself
--                 repoll     the same with the last answer's ETag in If-None-Match
--                 bust       the same with another query string each time, as against a cache
--                 join       with a nonce of the file each
--                 enter      with a body of the file each
--   BENCH_PATH    what to poll, or the room: /v1/rooms/1
--   BENCH_LINES   file with one nonce or body a line; when all are used up, no more is asked
--   BENCH_SKIP    so many of its lines, which have been used before
--   BENCH_BODY    of joins
--   BENCH_RATE    offer so many a second, each at its moment, instead of one after each answer
--   BENCH_OUT     where to write the figures, as JSON
local shape = os.getenv("BENCH_SHAPE")
local path = os.getenv("BENCH_PATH")
local body = os.getenv("BENCH_BODY")
local head = " HTTP/1.1\r\nHost: 127.0.0.1\r\n"

local threads = {}
function setup(thread) threads[#threads + 1] = thread end

local skip = tonumber(os.getenv("BENCH_SKIP") or "0")
local lines, asked, etag, again = {}, 0, nil, nil
s200, s304, other = 0, 0, 0

function init(args)
  if shape ~= "join" and shape ~= "enter" then return end
  local seen = 0
  for line in io.lines(os.getenv("BENCH_LINES")) do
    seen = seen + 1
    if seen > skip then lines[#lines + 1] = line end
  end
end

late = {}  -- requests by the whole milliseconds that they were sent after their moment
local rate = tonumber(os.getenv("BENCH_RATE") or "0")
local keep_pace = function() end
if rate > 0 then
  local ffi = require("ffi")
  ffi.cdef("typedef struct { long s, ns; } moment; int clock_gettime(int, moment *);")
  local moment, began, due, sent = ffi.new("moment"), nil, 0, 0
  local function now_ms()
    ffi.C.clock_gettime(1, moment)  -- monotonic
    return tonumber(moment.s) * 1e3 + tonumber(moment.ns) / 1e6
  end
  -- Whichever connection is free takes the next moment. Where none is, the moment passes, and the
  -- request that comes for it is late: so waiting is never left out.
  function delay()
    began, due = began or now_ms(), due + 1
    return math.max(0, math.ceil(began + due * 1e3 / rate - now_ms()))
  end
  function keep_pace()
    if not began then return end  -- wrk tries a request before it begins
    sent = sent + 1
    local ms = math.max(0, math.floor(now_ms() - (began + sent * 1e3 / rate)))
    late[ms] = (late[ms] or 0) + 1
  end
end

local function late_p99_ms(threads)
  local counts, longest, total = {}, 0, 0
  for _, thread in ipairs(threads) do
    for ms, count in pairs(thread:get("late")) do
      counts[ms] = (counts[ms] or 0) + count
      longest, total = math.max(longest, ms), total + count
    end
  end
  local seen = 0
  for ms = 0, longest do
    seen = seen + (counts[ms] or 0)
    if seen >= 0.99 * total then return ms end
  end
  return 0
end

local function next_line()
  keep_pace()
  asked = asked + 1
  if asked > #lines then
    wrk.thread:stop()
    return lines[#lines] or "none"
  end
  return lines[asked]
end

local function with_body(method, target, content)
  return method .. target .. head .. "Content-Type: application/json\r\nContent-Length: "
    .. #content .. "\r\n\r\n" .. content
end

if shape == "join" then
  function request() return with_body("PUT ", path .. "/places/" .. next_line(), body) end
elseif shape == "enter" then
  function request() return with_body("POST ", path .. "/enter", next_line()) end
elseif shape == "bust" then
  function request()
    asked = asked + 1
    return "GET " .. path .. "?x=" .. asked .. head .. "\r\n"
  end
elseif shape == "repoll" then
  function request()
    again = again or "GET " .. path .. head .. "If-None-Match: " .. (etag or '"none"') .. "\r\n\r\n"
    return again
  end
  function response(status, headers)
    if status == 304 then s304 = s304 + 1
    elseif status == 200 then s200 = s200 + 1
    else other = other + 1 end
    local seen = headers["etag"] or headers["ETag"]
    if seen ~= etag then etag, again = seen, nil end
  end
end

function done(summary, latency)
  local out = io.open(os.getenv("BENCH_OUT"), "w")
  local statuses = {}
  for _, name in ipairs({"s200", "s304", "other"}) do
    local count = 0
    for _, thread in ipairs(threads) do count = count + thread:get(name) end
    statuses[#statuses + 1] = string.format('"%s":%d', name, count)
  end
  out:write(string.format(
    '{"requests":%d,"duration_us":%d,"refused":%d,"socket_errors":%d,"timeouts":%d,'
      .. '"p50_us":%d,"p99_us":%d,"max_us":%d,"late_p99_us":%d,"statuses":{%s}}',
    summary.requests, summary.duration, summary.errors.status,
    summary.errors.connect + summary.errors.read + summary.errors.write, summary.errors.timeout,
    latency:percentile(50), latency:percentile(99), latency.max, 1e3 * late_p99_ms(threads),
    table.concat(statuses, ",")))
  out:close()
end
