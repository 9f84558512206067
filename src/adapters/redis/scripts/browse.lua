-- ARGV[4]: queue or empty, [5]: the id after which to begin, [6]: how many, then what they must be, or empty: [7] state,
-- [8] from, [9] correlation id with '=' before it. @returns the rows, and the id after which to go on, or empty at the end
local ids = ARGV[4] == '' and IDS or queueKey(ARGV[4], ARGV[7] == 'dead' and 'dead' or 'ids')
local limit, state, from = tonumber(ARGV[6]), ARGV[7], ARGV[8]
local correlation = ARGV[9] ~= '' and string.sub(ARGV[9], 2) or nil
local SCANNED = 1000
local BYTES = 4 * 1024 * 1024

local rows, bytes = {}, 0
local found = call('ZRANGEBYLEX', ids, ARGV[5] == '' and '-' or '(' .. ARGV[5], '+', 'LIMIT', 0, SCANNED)
for n, id in ipairs(found) do
  local is = call('HMGET', messageKey(id), 'state', 'from', 'correlation')
  if (state == '' or state == is[1]) and (from == '' or from == is[2]) and (not correlation or correlation == is[3]) then
    rows[#rows + 1] = view(id)
    bytes = bytes + #rows[#rows][4]
    if #rows >= limit or bytes > BYTES then
      return answer({ 'ok', rows, n < #found and id or (#found < SCANNED and '' or id) })
    end
  end
end
return answer({ 'ok', rows, #found < SCANNED and '' or found[#found] })
