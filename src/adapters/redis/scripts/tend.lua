-- @returns whether something is left, and when the next thing is due, or empty
local next = call('ZRANGE', DUE, 0, 0, 'WITHSCORES')[2]
return answer({ 'ok', isLeft and 1 or 0, next and int(tonumber(next)) or '' })
