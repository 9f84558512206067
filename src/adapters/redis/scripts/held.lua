-- ARGV[4]: id, ARGV[5]: the lease under which it is held, ARGV[6]: where it must be: 'q' and a queue; 'm' and a mailbox, which
-- stands for this and all work queues; or empty
local function isIn(place, queue)
  local isElsewhere = string.sub(place, 2) ~= queue
  local isStrict = string.sub(place, 1, 1) == 'q' or string.sub(queue, 1, 1) == '@'
  return place == '' or not (isElsewhere and isStrict)
end
local held = load(ARGV[4])
if not held or not isIn(ARGV[6], held.queue) then
  return answer({ 'missing' })
end
if held.state ~= 'leased' or held.lease ~= ARGV[5] or tonumber(held['until']) <= now then
  return answer({ 'stale' })
end
