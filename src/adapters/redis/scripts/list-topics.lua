local rows = {}
for _, topic in ipairs(call('HKEYS', TOPICS)) do
  local first = call('ZRANGE', topicKey(topic), 0, 0)[1]
  if first then
    local last = call('ZRANGE', topicKey(topic), -1, -1)[1]
    rows[#rows + 1] = { topic, call('ZCARD', topicKey(topic)), first, last, call('HGET', eventKey(last), 'at') }
  end
end
return answer({ 'ok', rows, tonumber(call('HGET', META, 'cursor') or 0) })
