-- What every script of the state store begins with. KEYS[1] is the beginning of all keys, `{prefix}:`. ARGV[1] is the time,
-- ARGV[2] 1 if the rest of the script is to wait until nothing is due.
--
-- A scope is a hash of entries, `version updated expires value`, and a sorted set of its keys, which Redis orders by bytes.
local base = KEYS[1]
local now = tonumber(ARGV[1])
local call = redis.call

local META = base .. 'meta'
local DUE = base .. 's:due'

local function int(number)
  return string.format('%.0f', number)
end

local function valuesKey(scope)
  return base .. 's:v:' .. scope
end

local function keysKey(scope)
  return base .. 's:k:' .. scope
end

local function dueEntry(scope, key)
  return #scope .. ':' .. scope .. key
end

local function erase(scope, key)
  call('ZREM', DUE, dueEntry(scope, key))
  call('ZREM', keysKey(scope), key)
  call('HDEL', valuesKey(scope), key)
end

-- What has expired goes, some at a time. @returns whether something is left
local function sweep()
  local due = call('ZRANGEBYSCORE', DUE, '-inf', int(now), 'LIMIT', 0, 200)
  for _, entry in ipairs(due) do
    local length, rest = string.match(entry, '^(%d+):(.*)$')
    erase(string.sub(rest, 1, tonumber(length)), string.sub(rest, tonumber(length) + 1))
  end
  return #due == 200
end

-- @returns version and text of an entry; 0 if there is none
local function find(scope, key)
  local text = call('HGET', valuesKey(scope), key)
  if not text then
    return 0
  end
  local version, _, expires = string.match(text, '^(%d+) (%d+) (%d*)')
  if expires ~= '' and tonumber(expires) <= now then
    return 0
  end
  return tonumber(version), text
end

if sweep() and ARGV[2] == '1' then
  return { 'again' }
end
