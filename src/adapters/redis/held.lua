-- ARGV[4]: id, ARGV[5]: the lease under which it is held
local held = load(ARGV[4])
if not held then
  return answer({ 'missing' })
end
if held.state ~= 'leased' or held.lease ~= ARGV[5] or tonumber(held['until']) <= now then
  return answer({ 'stale' })
end
