-- ARGV[3]: scope, [4]: prefix, [5]: the key after which to begin, with '=' before it, if it is not before
-- those with the prefix, or empty, [6]: how many
-- @returns keys and entries, and the key after which to go on, with '=' before it, or empty at the end
local scope, prefix, limit = ARGV[3], ARGV[4], tonumber(ARGV[6])
local BYTES = 4 * 1024 * 1024
local from = prefix == '' and '-' or '[' .. prefix
if ARGV[5] ~= '' then
  from = '(' .. string.sub(ARGV[5], 2)
end
-- No text in UTF-8 has this byte.
local to = prefix == '' and '+' or '(' .. prefix .. '\255'
local keys = call('ZRANGEBYLEX', keysKey(scope), from, to, 'LIMIT', 0, math.min(limit, 1000))
local found, bytes, last = {}, 0, nil
for n, key in ipairs(keys) do
  local version, text = find(scope, key)
  if version > 0 then
    found[#found + 1] = key
    found[#found + 1] = text
    bytes = bytes + #text
  end
  last = key
  if bytes > BYTES and n < #keys then
    return { 'ok', found, '=' .. last }
  end
end
return { 'ok', found, #keys == math.min(limit, 1000) and '=' .. last or '' }
