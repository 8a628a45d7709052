-- Looks at the server anew; status.lastHandledReconcileAt echoes the token.
local os = require("os")
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["evenkeel.dev/reconcile-requested-at"] = os.date("!%Y-%m-%dT%XZ")
return obj
