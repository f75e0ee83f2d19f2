-- Takes one request out of a bucket: see domain/quota.rs for the terms. A number of this size is exact as a double.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local cost, depth = tonumber(ARGV[1]), tonumber(ARGV[2])
local full_at = tonumber(redis.call('GET', KEYS[1]) or '') or now
local debt = math.min(math.max(full_at - now, 0), depth)
if debt + cost > depth then
    return {0, debt}
end
debt = debt + cost
redis.call('SET', KEYS[1], string.format('%.0f', now + debt), 'PX', string.format('%.0f', math.ceil(debt / 1000)))
return {1, debt}
