-- ARGV[4…]: names. @returns of each that is known: name, settings, size, leased, delayed, dead, oldest, newest ready
local rows = {}
for at = 4, #ARGV do
  local queue = ARGV[at]
  local settings = call('HGET', QUEUES, queue)
  if settings then
    local oldest, newest = nil, nil
    for priority = 0, 9 do
      local first = call('ZRANGE', readyKey(queue, priority), 0, 0, 'WITHSCORES')[2]
      if first then
        local last = call('ZRANGE', readyKey(queue, priority), -1, -1, 'WITHSCORES')[2]
        oldest = math.min(oldest or math.huge, tonumber(first))
        newest = math.max(newest or 0, tonumber(last))
      end
    end
    rows[#rows + 1] = {
      queue,
      settings,
      counted(queue, ''),
      call('ZCARD', queueKey(queue, 'leased')),
      call('ZCARD', queueKey(queue, 'delayed')),
      call('ZCARD', queueKey(queue, 'dead')),
      oldest and int(oldest) or false,
      newest and int(newest) or false,
    }
  end
end
return answer({ 'ok', rows })
