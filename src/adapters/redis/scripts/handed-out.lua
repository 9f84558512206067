-- ARGV[4]: consumer, [5]: how the leases begin, [6…]: queues
local prefix, isWanted, found = ARGV[5], {}, {}
for at = 6, #ARGV do
  isWanted[ARGV[at]] = true
end
for _, id in ipairs(call('SMEMBERS', consumerKey(ARGV[4]))) do
  local lease = call('HGET', messageKey(id), 'lease')
  if lease and string.sub(lease, 1, #prefix) == prefix then
    local message = load(id)
    if isWanted[message.queue] and tonumber(message['until']) > now then
      found[#found + 1] = { id = id, rank = tonumber(message.sent) - tonumber(message.priority) * options.ageing }
    end
  end
end
table.sort(found, function(a, b)
  return a.rank < b.rank or (a.rank == b.rank and a.id < b.id)
end)
for n, each in ipairs(found) do
  found[n] = view(each.id)
end
return answer({ 'ok', found })
