leave(held)
erase(held)
count(held.queue, held.from, -1)
return answer({ 'ok' })
