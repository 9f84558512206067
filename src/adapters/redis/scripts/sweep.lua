local LOOKS_AFTER = {
  L = function(id)
    local message = load(id)
    if message and message.state == 'leased' then
      takeBack(message)
    end
  end,
  W = function(id)
    local message = load(id)
    if message and message.state == 'delayed' then
      leave(message)
      toReady(message)
    end
  end,
  -- What is handed out does not expire before its lease does.
  X = function(id)
    local message = load(id)
    if message and (message.state == 'ready' or message.state == 'delayed') then
      die(message, 'expired')
    end
  end,
  D = function(id)
    local message = load(id)
    if message and message.state == 'dead' then
      drop(message)
    end
  end,
  K = function(key)
    call('HDEL', KEPT_KEYS, key)
  end,
  Q = function(queue)
    call('HDEL', DELETED, queue)
  end,
  T = retain,
  F = forget,
}

-- Does what is due, up to so many things, so that no script takes long. @returns whether something is left
local function sweep(budget)
  while budget > 0 do
    local due = call('ZRANGEBYSCORE', DUE, '-inf', int(now), 'LIMIT', 0, math.min(budget, 50))
    if #due == 0 then
      return false
    end
    for _, entry in ipairs(due) do
      call('ZREM', DUE, entry)
      LOOKS_AFTER[string.sub(entry, 1, 1)](string.sub(entry, 2))
    end
    budget = budget - #due
  end
  return #call('ZRANGEBYSCORE', DUE, '-inf', int(now), 'LIMIT', 0, 1) > 0
end

-- ARGV[3] is 1 if the rest of the script is to wait until nothing is due: it is called again then.
local isLeft = sweep(200)
if isLeft and ARGV[3] == '1' then
  return answer({ 'again' })
end
