-- Forgets a failed size, flapping and backoff.
local os = require("os")
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["evenkeel.dev/retry"] = os.date("!%Y-%m-%dT%XZ")
return obj
