-- Ask for holds as a crowd would. Run by bench/load.py, which says by environment what to ask for:
--
--   BENCH_SHAPE    seats        every seat of every sale once, in random order
--                  nearly_gone  every 50th request a free seat, all others a taken one
--                  stock        one unit of product 1
--                  persons      as seats, and each person in turn asks BENCH_PER_PERSON times at once
--   BENCH_SALE_FIRST, BENCH_SALES, BENCH_SEATS (a sale), BENCH_TAKEN (seats 1 to n, beforehand)
--   BENCH_TOKENS   file with one token a line: the persons
--   BENCH_RUN      makes this run's idempotency keys its own
--   BENCH_COUNT    1: count answers by status (costs the generator a little)
--   BENCH_OUT      where to write the figures, as JSON
local shape = os.getenv("BENCH_SHAPE")
local sale_first = tonumber(os.getenv("BENCH_SALE_FIRST"))
local sales = tonumber(os.getenv("BENCH_SALES"))
local seats = tonumber(os.getenv("BENCH_SEATS"))
local taken = tonumber(os.getenv("BENCH_TAKEN"))
local per_person = tonumber(os.getenv("BENCH_PER_PERSON"))
local key_prefix = os.getenv("BENCH_RUN")
local random = math.random

local threads = {}
function setup(thread) threads[#threads + 1] = thread end

local tokens, order = {}, {}
local asked, free_asked = 0, 0
s200, s201, s403, s404, s409, s410, s429, s503, other = 0, 0, 0, 0, 0, 0, 0, 0, 0

function init(args)
  for token in io.lines(os.getenv("BENCH_TOKENS")) do tokens[#tokens + 1] = token end
  math.randomseed(tonumber(os.getenv("BENCH_SEED")))
  if shape == "stock" then return end
  local total = sales * seats
  for i = 1, total do order[i] = i end
  local first = taken + 1
  for i = total, first + 1, -1 do  -- Fisher and Yates; those taken beforehand stay in front
    local j = random(first, i)
    order[i], order[j] = order[j], order[i]
  end
end

local function next_seat()
  if shape ~= "nearly_gone" then return order[(asked - 1) % #order + 1] end
  if asked % 50 == 0 and taken + free_asked < #order then
    free_asked = free_asked + 1
    return order[taken + free_asked]
  end
  return order[random(1, taken + free_asked)]
end

function request()
  asked = asked + 1
  local person = tokens[math.floor((asked - 1) / per_person) % #tokens + 1]
  local sale, body = sale_first, '{"seats":[],"products":[{"product":1,"quantity":1}]}'
  if shape ~= "stock" then
    local seat = next_seat() - 1
    sale = sale_first + math.floor(seat / seats)
    body = '{"seats":[' .. (seat % seats + 1) .. ']}'
  end
  return "POST /v1/sales/" .. sale .. "/holds HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer "
    .. person .. "\r\nIdempotency-Key: " .. key_prefix .. asked
    .. "\r\nContent-Type: application/json\r\nContent-Length: " .. #body .. "\r\n\r\n" .. body
end

if os.getenv("BENCH_COUNT") == "1" then
  function response(status)
    if status == 201 then s201 = s201 + 1
    elseif status == 409 then s409 = s409 + 1
    elseif status == 403 then s403 = s403 + 1
    elseif status == 410 then s410 = s410 + 1
    elseif status == 200 then s200 = s200 + 1
    elseif status == 404 then s404 = s404 + 1
    elseif status == 429 then s429 = s429 + 1
    elseif status == 503 then s503 = s503 + 1
    else other = other + 1 end
  end
end

function done(summary, latency)
  local out = io.open(os.getenv("BENCH_OUT"), "w")
  local statuses = {}
  for _, name in ipairs({"s200", "s201", "s403", "s404", "s409", "s410", "s429", "s503", "other"}) do
    local count = 0
    for _, thread in ipairs(threads) do count = count + thread:get(name) end
    statuses[#statuses + 1] = string.format('"%s":%d', name, count)
  end
  out:write(string.format(
    '{"requests":%d,"duration_us":%d,"refused":%d,"socket_errors":%d,"timeouts":%d,'
      .. '"p50_us":%d,"p99_us":%d,"max_us":%d,"statuses":{%s}}',
    summary.requests, summary.duration, summary.errors.status,
    summary.errors.connect + summary.errors.read + summary.errors.write, summary.errors.timeout,
    latency:percentile(50), latency:percentile(99), latency.max, table.concat(statuses, ",")))
  out:close()
end
