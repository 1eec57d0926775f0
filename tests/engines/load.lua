-- Each request has its own query, request id and agent, so that whatever is remembered per request shows.
local number = 0
function request()
  number = number + 1
  local headers = { ["Host"] = "localhost", ["X-Request-ID"] = "load-" .. number, ["User-Agent"] = "load/" .. number }
  return wrk.format("GET", wrk.path .. "?n=" .. number, headers)
end
