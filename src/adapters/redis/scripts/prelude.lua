-- What every script of the bus begins with. A script is this file, those that it needs after it, and its own at the end.
--
-- KEYS[1] is the beginning of all keys, `{prefix}:`; one hash tag, so that all of them are in one slot.
-- ARGV[1] is the time, in milliseconds; ARGV[2] what the bus was opened with, as JSON; the script's own follow.
-- Texts of users come as JSON has them between its quotes: any text is possible, none is changed, and JSON can be put
-- together from them as they are.
local base = KEYS[1]
local now = tonumber(ARGV[1])
local options = cjson.decode(ARGV[2])
local call = redis.call
local NULL = cjson.null

local META = base .. 'meta'
-- name of each queue → its own settings as JSON; GONE while only dead letters are left of it
local QUEUES = base .. 'queues'
local GONE = '-'
-- what is to be looked after at a time: L lease, W wait, X expiry, D dead letter, K idempotency key, Q deleted queue, T topic,
-- F forgotten topic
local DUE = base .. 'due'
local IDS = base .. 'ids'
local KEPT_KEYS = base .. 'keys'
-- name of each queue that was deleted → the id up to which its idempotency keys are forgotten, as long as keys are kept
local DELETED = base .. 'deleted'
local KEYS_KEPT_MS = 24 * 3600 * 1000
local EVENTS = base .. 'events'
-- name of each topic → cursor of its latest event that is not kept any more
local TOPICS = base .. 'topics'

local function int(number)
  return string.format('%.0f', number)
end

local function messageKey(id)
  return base .. 'm:' .. id
end

local function queueKey(queue, what)
  return base .. 'q:' .. queue .. ':' .. what
end

local function consumerKey(consumer)
  return base .. 'c:' .. consumer
end

local function topicKey(topic)
  return base .. 't:' .. topic
end

local function eventKey(cursor)
  return base .. 'e:' .. cursor
end

-- Changes that watchers are told of: 'q<queue>' and 't<topic>'.
local changes = {}
local isChanged = {}
local function changed(what)
  if not isChanged[what] then
    isChanged[what] = true
    changes[#changes + 1] = what
  end
end

-- The answer of a script. Other daemons on this store learn of the changes from here.
local function answer(result)
  if #changes > 0 then
    call('PUBLISH', base .. 'changes', options.origin .. '\n' .. table.concat(changes, '\n'))
  end
  return { changes, result }
end

local settingsKnown = {}
local function settingsOf(queue)
  local settings = settingsKnown[queue]
  if settings == nil then
    local own = call('HGET', QUEUES, queue)
    settings = options.defaults
    if own and own ~= '{}' and own ~= GONE then
      settings = setmetatable(cjson.decode(own), { __index = options.defaults })
    end
    settingsKnown[queue] = settings
  end
  return settings
end

local function isLimited(queue)
  local settings = settingsOf(queue)
  return settings.concurrency ~= NULL or settings.perConsumer ~= NULL
end

local function fill(template, values)
  return (string.gsub(template, '<<(%w+)>>', values))
end
