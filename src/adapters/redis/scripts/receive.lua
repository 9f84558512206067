-- ARGV[4]: consumer, [5]: how many, [6]: milliseconds of the lease, or empty, [7]: correlation id with '=' before it, or
-- empty, [8]: a random text for the leases, [9]: bytes of all payloads, or empty, [10…]: queues
local maxBytes = tonumber(ARGV[9]) or math.huge
local consumer, max, correlation = ARGV[4], tonumber(ARGV[5]), ARGV[7] ~= '' and string.sub(ARGV[7], 2) or nil

-- How many more of a queue this consumer may have.
local room = {}
local function roomOf(queue)
  local settings, free = settingsOf(queue), math.huge
  if settings.concurrency ~= NULL then
    free = settings.concurrency - call('ZCARD', queueKey(queue, 'leased'))
  end
  if settings.perConsumer ~= NULL then
    free = math.min(free, settings.perConsumer - tonumber(call('HGET', queueKey(queue, 'consumers'), consumer) or 0))
  end
  return free
end

-- The best of each queue and priority; the best of them is next (`src/domain/messages/queue-order.ts`).
local heads = {}
local function look(head)
  local found = call('ZRANGE', readyKey(head.queue, head.priority, correlation), 0, 0, 'WITHSCORES')
  head.id = found[1]
  head.rank = found[1] and tonumber(found[2]) - head.priority * options.ageing
  return found[1]
end
for at = 10, #ARGV do
  local queue = ARGV[at]
  if not room[queue] then
    room[queue] = roomOf(queue)
    for priority = 0, 9 do
      local head = { queue = queue, priority = priority }
      if room[queue] > 0 and look(head) then
        heads[#heads + 1] = head
      end
    end
  end
end

local function best()
  local first = nil
  for _, head in ipairs(heads) do
    local isBefore = head.id and room[head.queue] > 0
      and (not first or head.rank < first.rank or (head.rank == first.rank and head.id < first.id))
    if isBefore then
      first = head
    end
  end
  return first
end

local handedOut, bytes, died = {}, 0, 0
while #handedOut < max and died < 500 do
  local head = best()
  if not head then
    break
  end
  local message = load(head.id)
  if isExpired(message) then
    die(message, 'expired')
    died = died + 1
  else
    bytes = bytes + call('HSTRLEN', messageKey(message.id), 'payload')
    if #handedOut > 0 and bytes > maxBytes then
      break
    end
    local leaseMs = tonumber(ARGV[6]) or settingsOf(message.queue).leaseMs
    local leaseUntil = int(now + leaseMs)
    leave(message)
    call('HSET', messageKey(message.id), 'state', 'leased', 'consumer', consumer, 'lease', ARGV[8] .. (#handedOut + 1), 'until',
      leaseUntil, 'attempt', message.attempt + 1)
    call('ZADD', queueKey(message.queue, 'leased'), leaseUntil, message.id)
    call('HINCRBY', queueKey(message.queue, 'consumers'), consumer, 1)
    call('SADD', consumerKey(consumer), message.id)
    call('ZADD', DUE, leaseUntil, 'L' .. message.id)
    room[message.queue] = room[message.queue] - 1
    handedOut[#handedOut + 1] = view(message.id)
  end
  look(head)
end
if #handedOut == 0 and died > 0 then
  return answer({ 'again' })
end
return answer({ 'ok', handedOut })
