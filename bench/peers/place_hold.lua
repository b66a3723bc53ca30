-- One hold in Valkey. Valkey runs one script at a time, so nothing needs a lock.
--
-- KEYS of one sale share a hash slot: {sale}
--   1 sale      hash: opens_ms closes_ms paused hold_ttl_s order_limit occasion_limit person_limit …
--   2 seats     hash: seat -> "occasion price_class" while free, plus " hold expires_ms" once taken
--   3 stocks    hash: stock -> "occasion capacity held sold"
--   4 products  hash: product -> "price stock units [stock units …]"
--   5 uses      hash: "person occasion" -> units
--   6 hold      hash: the hold itself, named by its effect
--   7 open      sorted set: hold key -> expires_ms, of the open ones
--   8 outbox    stream
-- ARGV: hold, person, digest, seats ("1 2 3"), products ("1 2 4 1": product quantity …)
local sale_key, seats_key, stocks_key, products_key, uses_key, hold_key, open_key, outbox_key =
  KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local hold, person, digest = ARGV[1], ARGV[2], ARGV[3]
local clock = redis.call('TIME')
local now_ms = clock[1] * 1000 + math.floor(clock[2] / 1000)

local function words(text)
  local list = {}
  for word in string.gmatch(text, '%S+') do list[#list + 1] = word end
  return list
end

local function view()
  local h = redis.call('HMGET', hold_key, 'state', 'units', 'amount', 'expires_ms', 'renewals')
  local s = redis.call('HMGET', sale_key, 'currency', 'renewals_max')
  return {h[1], h[2], h[3], h[4], s[1], tostring(tonumber(s[2]) - tonumber(h[5]))}
end

-- Return the units of past-due holds, so that nobody is refused for want of them.
local function reclaim()
  local due = redis.call('ZRANGE', open_key, '-inf', now_ms, 'BYSCORE', 'LIMIT', 0, 100)
  for _, key in ipairs(due) do
    local h = redis.call('HMGET', key, 'person', 'uses', 'draws')
    local uses, draws = words(h[2]), words(h[3])
    for i = 1, #uses, 2 do
      redis.call('HINCRBY', uses_key, h[1] .. ' ' .. uses[i], -uses[i + 1])
    end
    for i = 1, #draws, 2 do
      local stock = words(redis.call('HGET', stocks_key, draws[i]))
      stock[3] = stock[3] - draws[i + 1]
      redis.call('HSET', stocks_key, draws[i], table.concat(stock, ' '))
    end
    redis.call('HSET', key, 'state', 'expired')
    redis.call('ZREM', open_key, key)
    redis.call('XADD', outbox_key, '*', 'kind', 'HoldExpired', 'hold', key)
  end
  return #due
end

local known = redis.call('HGET', hold_key, 'digest')
if known then
  if known ~= digest then return {'key_reused'} end
  return {'replayed', view()}
end

local s = redis.call('HMGET', sale_key, 'opens_ms', 'closes_ms', 'paused', 'hold_ttl_s',
  'order_limit', 'occasion_limit', 'person_limit')
if not s[1] then return {'unknown_sale'} end
if now_ms < tonumber(s[1]) or (s[2] ~= '' and now_ms >= tonumber(s[2])) then
  return {'sale_not_open'}
end
if s[3] == '1' then return {'sale_paused'} end

local units, amount, is_taken = 0, 0, false
local occasions, seats = {}, words(ARGV[4])
local seat_states = {}
if #seats > 0 then seat_states = redis.call('HMGET', seats_key, unpack(seats)) end
for i = 1, #seats do
  if not seat_states[i] then return {'unknown_seat'} end
  local state = words(seat_states[i])
  seat_states[i] = state
  if state[3] and (state[4] == '' or tonumber(state[4]) > now_ms) then is_taken = true end
  units = units + 1
  occasions[state[1]] = (occasions[state[1]] or 0) + 1
  amount = amount + tonumber(redis.call('HGET', sale_key, 'price:' .. state[2]))
end

local draws, asked = {}, words(ARGV[5])
for i = 1, #asked, 2 do
  local found = redis.call('HGET', products_key, asked[i])
  if not found then return {'unknown_product'} end
  local product, quantity, counted = words(found), tonumber(asked[i + 1]), {}
  units = units + quantity
  amount = amount + product[1] * quantity
  for j = 2, #product, 2 do
    local stock = words(redis.call('HGET', stocks_key, product[j]))
    draws[product[j]] = (draws[product[j]] or 0) + product[j + 1] * quantity
    if not counted[stock[1]] then
      counted[stock[1]] = true
      occasions[stock[1]] = (occasions[stock[1]] or 0) + quantity
    end
  end
end
if s[5] ~= '' and units > tonumber(s[5]) then return {'order_limit_reached'} end
if is_taken then return {'seat_taken'} end

local uses = {}
if s[7] ~= '' then uses['0'] = {units, tonumber(s[7])} end
if s[6] ~= '' then
  for occasion, n in pairs(occasions) do uses[occasion] = {n, tonumber(s[6])} end
end
local function is_over_limit()
  for occasion, use in pairs(uses) do
    local used = tonumber(redis.call('HGET', uses_key, person .. ' ' .. occasion) or 0)
    if used + use[1] > use[2] then return true end
  end
end
if is_over_limit() and (reclaim() == 0 or is_over_limit()) then return {'limit_reached'} end
local function is_sold_out()
  for stock, n in pairs(draws) do
    local state = words(redis.call('HGET', stocks_key, stock))
    if state[3] + state[4] + n > tonumber(state[2]) then return true end
  end
end
if is_sold_out() and (reclaim() == 0 or is_sold_out()) then return {'sold_out'} end

-- From here the hold must succeed.
local expires_ms = now_ms + s[4] * 1000
local uses_text, draws_text = {}, {}
for i, seat in ipairs(seats) do
  redis.call('HSET', seats_key, seat,
    seat_states[i][1] .. ' ' .. seat_states[i][2] .. ' ' .. hold .. ' ' .. expires_ms)
end
for occasion, use in pairs(uses) do
  redis.call('HINCRBY', uses_key, person .. ' ' .. occasion, use[1])
  uses_text[#uses_text + 1] = occasion .. ' ' .. use[1]
end
for stock, n in pairs(draws) do
  local state = words(redis.call('HGET', stocks_key, stock))
  state[3] = state[3] + n
  redis.call('HSET', stocks_key, stock, table.concat(state, ' '))
  draws_text[#draws_text + 1] = stock .. ' ' .. n
end
redis.call('HSET', hold_key, 'state', 'open', 'person', person, 'digest', digest,
  'seats', ARGV[4], 'products', ARGV[5], 'uses', table.concat(uses_text, ' '),
  'draws', table.concat(draws_text, ' '), 'units', units, 'amount', amount,
  'renewals', 0, 'placed_ms', now_ms, 'expires_ms', expires_ms)
redis.call('ZADD', open_key, expires_ms, hold_key)
redis.call('XADD', outbox_key, '*', 'kind', 'HoldPlaced', 'hold', hold, 'person', person,
  'seats', ARGV[4], 'units', units)
return {'held', view()}
