-- ARGV[4]: the cursor after which to begin, [5]: how many, [6…]: patterns
-- @returns the events, where to go on, the cursor of the newest, and whether some are missed
local after, limit = tonumber(ARGV[4]), tonumber(ARGV[5])
local newest = tonumber(call('HGET', META, 'cursor') or 0)
if after > newest then
  return answer({ 'ok', {}, newest, newest, 1 })
end

-- Topics that match (`src/domain/messages/topic.ts`), with what is no longer kept of each.
local isWanted, wanted, isMissed = {}, {}, tonumber(call('HGET', META, 'forgotten') or 0) > after
local function want(topic, dropped)
  if not isWanted[topic] then
    isWanted[topic] = true
    wanted[#wanted + 1] = topic
    isMissed = isMissed or tonumber(dropped) > after
  end
end
local open = {}
for at = 6, #ARGV do
  if string.find(ARGV[at], '[*>]') then
    local segments = string.gsub(ARGV[at], '[^%w]', '%%%0')
    open[#open + 1] = '^' .. string.gsub(string.gsub(segments, '%%%*', '[^.]+'), '%%>', '.+') .. '$'
  else
    local dropped = call('HGET', TOPICS, ARGV[at])
    if dropped then
      want(ARGV[at], dropped)
    end
  end
end
if #open > 0 then
  local topics = call('HGETALL', TOPICS)
  for n = 1, #topics, 2 do
    for _, pattern in ipairs(open) do
      if string.find(topics[n], pattern) then
        want(topics[n], topics[n + 1])
      end
    end
  end
end

-- Of few topics their own cursors are put in order; of many, all events are looked at, some at a time.
local FEW = 16
local SCANNED = 2000
local BYTES = 4 * 1024 * 1024
local cursors, next = {}, newest
if #wanted <= FEW then
  for _, topic in ipairs(wanted) do
    for _, cursor in ipairs(call('ZRANGEBYSCORE', topicKey(topic), '(' .. int(after), '+inf', 'LIMIT', 0, limit + 1)) do
      cursors[#cursors + 1] = tonumber(cursor)
    end
  end
  table.sort(cursors)
else
  local found = call('ZRANGEBYSCORE', EVENTS, '(' .. int(after), '+inf', 'LIMIT', 0, SCANNED)
  for _, entry in ipairs(found) do
    local cursor, topic = string.match(entry, '^(%d+) (.*)$')
    if isWanted[topic] then
      cursors[#cursors + 1] = tonumber(cursor)
    end
  end
  if #found == SCANNED then
    next = tonumber(string.match(found[#found], '^%d+'))
  end
end

local events, bytes = {}, 0
for _, cursor in ipairs(cursors) do
  if #events >= limit or bytes > BYTES then
    next = tonumber(events[#events][1])
    break
  end
  local event = call('HMGET', eventKey(int(cursor)), 'topic', 'from', 'payload', 'key', 'at')
  bytes = bytes + #event[3]
  events[#events + 1] = { int(cursor), event[1], event[2], event[3], event[4], event[5] }
end
return answer({ 'ok', events, next, newest, isMissed and 1 or 0 })
