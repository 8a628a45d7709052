-- Annotations only: they are in no manifest, so that self-heal leaves them alone.
local annotations = obj.metadata.annotations or {}
local paused = annotations["evenkeel.dev/paused"] ~= nil and annotations["evenkeel.dev/paused"] ~= "false"
local actions = {}
actions["reconcile"] = {
  ["displayName"] = "Reconcile",
  ["iconClass"] = "fa fa-fw fa-refresh",
}
actions["retry"] = {
  ["displayName"] = "Retry",
  ["iconClass"] = "fa fa-fw fa-redo",
}
actions["pause"] = {
  ["displayName"] = "Pause",
  ["iconClass"] = "fa fa-fw fa-pause",
  ["disabled"] = paused,
}
actions["resume"] = {
  ["displayName"] = "Resume",
  ["iconClass"] = "fa fa-fw fa-play",
  ["disabled"] = not paused,
}
return actions
